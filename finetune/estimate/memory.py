"""Bytes that a training process holds at its peak, part by part.

What a layer keeps for its backward pass is what autograd saves in transformers' Llama layer with the
products and norms of `finetune.model`; the peak is where all layers have been gone through, and the loss or
the last layer's gradient is computed.
"""

from dataclasses import dataclass

from finetune.base.catalogue import Shape
from finetune.estimate.devices import Device
from finetune.estimate.shapes import (
    ATTENTION,
    MLP,
    adapter_numbers,
    linear_numbers,
    other_numbers,
    products,
)
from finetune.recipe import Recipe
from finetune.training.plan import LOGITS

IMPORTS = 0.8e9
"""A training process on CPU before its base: Python, torch, transformers, peft, trl (measured)."""

CONTEXT = 0.6e9
"""What CUDA takes for itself and for cuBLAS, which torch does not count."""

HOLES = 2.0
"""On CPU, for each byte that comes and goes: bytes that the heap holds free, in pieces that nothing fits.

glibc before 2.38 cannot give an aligned block its old place back, and `finetune.model.allocator` keeps what
is free. Measured from 1.4 to 2.7, where all else of the heap was predicted to a few percent.
"""

KERNEL = 0.58e6
"""What oneDNN keeps of a product of one shape in bfloat16, on CPU (measured)."""

_KERNELS = 1024  # oneDNN's own limit
_PER_ROW, _PER_PASS = 4, 40  # products of a new shape for each new length: in attention, in everything else

ROOM = 0.5
"""Of a device's free memory, what dense weights may take before `auto` means packed."""

MOMENTS = {"adamw": 8, "adafactor": 0, "sgd": 0}
"""Bytes that an optimiser keeps for each trained number; Adafactor's sums of rows and columns are few."""


@dataclass(frozen=True)
class Memory:
    """`parts` in bytes, in the order of a run."""

    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def held(shape: Shape, recipe: Recipe, device: Device) -> str:
    """`dense` or `packed`: what `base.weights` means on `device`."""
    if recipe.base.weights != "auto":
        return recipe.base.weights
    return "dense" if weight_bytes(shape, "dense", device.width) <= ROOM * device.memory else "packed"


def weight_bytes(shape: Shape, weights: str, width: int) -> float:
    """The frozen base, dense or packed (half a byte a number, and a scale and a zero for each group)."""
    narrow, wide = linear_numbers(shape), other_numbers(shape) * width
    return wide + (narrow * width if weights == "dense" else packed_bytes(shape))


def packed_bytes(shape: Shape) -> float:
    return linear_numbers(shape) * (0.5 + 2.5 / shape.group_size)


def recomputes(recipe: Recipe, device: Device) -> bool:
    """Whether activations are computed again in the backward pass: on CUDA, of every layer that must be."""
    wanted = recipe.train.gradient_checkpointing
    return device.kind == "cuda" if wanted is None else wanted


def memory(
    shape: Shape,
    recipe: Recipe,
    device: Device,
    widest: tuple[int, int],
    lengths: tuple[int, int] = (1, 1),
    fresh: bool = False,
    pairs: int = 0,
) -> Memory:
    """The peak over passes of at most `widest` (tokens, learnt ones), with at most `pairs` kept weights of
    attention a head.

    `lengths`: how many different ones rows have, and passes. `fresh`: the dense weights are not in the cache
    yet, and are made in this process first.
    """
    tokens, learnt = widest
    weights = held(shape, recipe, device)
    trained = adapter_numbers(shape, recipe.lora)
    layer = kept_in_layer(shape, recipe, device, tokens, pairs)
    recompute = recomputes(recipe, device)
    input_alone = tokens * shape.hidden_size * device.width
    # The last layer's gradients on their way down, and what is gone through again before them.
    passing = 3 * tokens * shape.intermediate_size * device.width + (layer if recompute else 0)
    ends = {
        "a layer's products": passing + _unpacking(shape, weights, device),
        "logits": _loss(shape, device, learnt),
    }
    parts = {
        "runtime": IMPORTS if device.kind == "cpu" else CONTEXT,
        "weights": weight_bytes(shape, weights, device.width),
        "adapter": 4.0 * trained,
        "gradients and optimiser": (4.0 + MOMENTS[recipe.train.optimizer]) * trained,
        "activations": shape.num_hidden_layers * (input_alone if recompute else layer)
        + _tail(shape, device, tokens, learnt),
    }
    if device.kind == "cuda":  # the one comes after the other, in the same place
        larger = max(ends, key=lambda name: ends[name])
        return Memory(parts | {larger: ends[larger]})
    parts |= ends
    if weights == "packed":  # the file's own wide numbers stay mapped beside their copy
        parts["weights"] += 2 * other_numbers(shape)
    if device.width < 4:
        rows, passes = lengths
        parts["compiled products"] = KERNEL * min(_KERNELS, _PER_ROW * rows + _PER_PASS * passes)
    parts["heap in pieces"] = HOLES * sum(ends.values())
    if fresh and weights == "dense":
        # Making the dense weights holds them twice for a moment; training then uses that room.
        heap = sum(parts[name] for name in list(parts)[2:])
        parts["heap in pieces"] += max(0.0, 2 * weight_bytes(shape, "dense", device.width) - heap)
    return Memory(parts)


def kept_in_layer(shape: Shape, recipe: Recipe, device: Device, tokens: int, pairs: int) -> float:
    """Bytes that autograd keeps of a layer for `tokens` tokens with `pairs` kept weights of attention a head.

    Both norms keep what they made and its scale. A LoRA product keeps x A' and its input, which q, k and v
    share, and gate and up; a frozen product keeps nothing. Attention keeps queries, keys and values, and on
    CPU the weights of short rows; SiLU keeps its input, and the product behind it both sides. Dropout gives
    each LoRA product an input and a mask of its own, and has the adapter's narrow copy kept.
    """
    width, targets, dropout = device.width, set(recipe.lora.targets), recipe.lora.dropout > 0
    sizes = products(shape)
    inputs = 0.0
    for group in (ATTENTION[:3], ATTENTION[3:], MLP[:2], MLP[2:]):
        taught = [name for name in group if name in targets]
        size = sizes[group[0]][0]
        if dropout:  # the mask is a byte on CUDA
            inputs += len(taught) * size * (width + (1 if device.kind == "cuda" else width))
        elif taught:
            inputs += size * width
    inner = recipe.lora.r * width * len(targets)
    queries, keys = sizes["q_proj"][1], sizes["k_proj"][1]
    attention = (queries + 2 * keys) * width
    if device.kind == "cuda":  # torch's fused kernel keeps its output and its normalisers
        attention += queries * width + 4 * shape.num_attention_heads
    copies = adapter_numbers(shape, recipe.lora) / shape.num_hidden_layers * width if width < 4 else 0
    norms = 2 * (shape.hidden_size * width + 4)
    token = norms + inputs + inner + attention + 3 * shape.intermediate_size * width
    weights = pairs * shape.num_attention_heads * width if device.kind == "cpu" else 0
    return tokens * token + weights + (copies if dropout else 0)


def _tail(shape: Shape, device: Device, tokens: int, learnt: int) -> float:
    """What the final norm keeps, and its output; hidden states and their gradient at learnt positions."""
    return 2.0 * shape.hidden_size * (tokens + learnt) * device.width


def _loss(shape: Shape, device: Device, learnt: int) -> float:
    """A chunk of logits and its softmax in float32, and the softmax in the width of the product after it."""
    each = 8 + (device.width if device.width < 4 else 0)
    return float(each * min(learnt * shape.vocab_size, max(LOGITS, shape.vocab_size)))


def _unpacking(shape: Shape, weights: str, device: Device) -> float:
    """The largest product's dense weight for a moment; on CPU with what it is made of: int32, float32."""
    if weights == "dense":
        return 0.0
    largest = max(a * b for a, b in products(shape).values())
    return float(largest * (device.width if device.kind == "cuda" else device.width + 12))
