"""Seconds of a run: operations over what a data sheet promises, or what a few layers took here."""

from dataclasses import dataclass

from finetune.base.catalogue import Shape
from finetune.estimate import attention
from finetune.estimate.devices import Device, Sheet
from finetune.estimate.memory import held, packed_bytes, recomputes
from finetune.estimate.shapes import adapter_numbers, linear_numbers
from finetune.estimate.work import Pass, Work
from finetune.recipe import Recipe

UTILISATION = 0.5
"""Of a data sheet's peak, what training that recomputes every layer reaches (0.48 with packed weights, 0.51
with dense ones, `make bench-train-gpu` on an H200). Layers that keep their activations make it faster."""

REACHED = 0.9
"""Of what a few layers promise, what a whole training run reaches (measured by `make bench-estimate`): the
rest goes into fresh memory, products of new shapes, and what stands around the layers."""

_TIMED = 2048
"""Tokens that are timed: more say nothing new."""

_BUDGET = {"cpu": 1e11, "cuda": 1e14}
"""Operations of a layer that are timed: about a second."""

_STEP_BYTES = 28  # a number of AdamW's: weight, gradient and two moments read, all but the gradient written


@dataclass(frozen=True)
class Time:
    """`seconds` of training and evaluation together; `per_step` and `tokens_per_second` of training."""

    seconds: float
    per_step: float
    tokens_per_second: float
    origin: str


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of a pass: forward alone, and in all."""

    forward: float
    total: float


def operations(shape: Shape, recipe: Recipe, rows: Pass, recompute: bool) -> Operations:
    """Of one pass over `rows`.

    With N numbers in the frozen products and P in the adapter a token costs 2 N + 2 P forward and 2 N + 4 P
    backward: the frozen ones get no gradient. Attention is 2 products forward and 4 backward, of each query
    with the keys before its block's end, and one more where weights were not kept. The output layer
    sees learnt tokens only, forward and backward. `recompute` adds a second forward, and `dpo` one without
    the adapter.
    """
    tokens, learnt = sum(tokens for tokens, _ in rows), sum(learnt for _, learnt in rows)
    frozen, adapter = linear_numbers(shape), adapter_numbers(shape, recipe.lora)
    width = shape.num_attention_heads * shape.head_dim * shape.num_hidden_layers
    product = 2.0 * width * sum(attention.computed(length) for length, _ in rows)
    again = 2.0 * width * sum(attention.computed(length) - attention.kept(length) for length, _ in rows)
    head = 2.0 * shape.vocab_size * shape.hidden_size * learnt
    through = 2.0 * (frozen + adapter) * tokens + 2 * product
    backward = (2.0 * frozen + 4.0 * adapter) * tokens + 4 * product + again + head
    second = through if recompute else 0.0
    reference = 2.0 * frozen * tokens + 2 * product + head if recipe.method == "dpo" else 0.0
    forward = through + head + reference
    return Operations(forward, forward + backward + second)


def time_of(shape: Shape, recipe: Recipe, device: Device, work: Work) -> Time:
    """Measured on a few layers where `device` is this machine, and out of its data sheet elsewhere."""
    recompute = recomputes(recipe, device)
    costs = [operations(shape, recipe, one, recompute) for one in work.passes]
    if device.sheet is not None:
        rate, aside = UTILISATION * device.sheet.bf16_tflops * 1e12, _aside(shape, recipe, device, work)
        origin = f"assumed: {UTILISATION:.0%} of its {device.sheet.bf16_tflops:g} TFLOP/s"
    else:
        rate, aside, layers = _measured(shape, recipe, device, work)
        origin = f"measured on {layers} of {shape.num_hidden_layers} layers here: {rate / 1e9:.0f} GFLOP/s"
    per_step = work.each([cost.total for cost in costs]) / rate + aside
    forward = sum(cost.forward for cost in costs) / sum(map(_tokens, work.passes))
    evaluation = work.evaluated * forward / rate
    return Time(work.steps * per_step + evaluation, per_step, work.tokens / per_step, origin)


def _measured(shape: Shape, recipe: Recipe, device: Device, work: Work) -> tuple[float, float, int]:
    """Operations a second of training here, the optimiser's seconds a step, the number of timed layers."""
    from finetune.estimate.probe import layers_of, probe

    recompute, layers = recomputes(recipe, device), layers_of(shape)
    times = shape.num_hidden_layers / layers
    few = _few(shape, device, work)
    found = probe(shape, recipe, few, held(shape, recipe, device), recompute)
    cost = sum(operations(shape, recipe, one, recompute).total for one in few)
    return REACHED * cost / (times * found.layers + found.head), times * found.step, layers


def _few(shape: Shape, device: Device, work: Work) -> list[Pass]:
    """The passes of the step that is nearest to a mean one, as far as timing them takes seconds only."""
    mean = work.each(list(map(_tokens, work.passes)))
    step = min(work.shown, key=lambda passes: abs(sum(map(_tokens, passes)) - mean))
    per_token = 6 * linear_numbers(shape) / shape.num_hidden_layers
    left = int(min(_TIMED, _BUDGET[device.kind] / per_token))
    few: list[Pass] = []
    for rows in step:
        kept = []
        for length, learnt in rows:
            if left > 0:
                kept.append((min(length, left), min(learnt, length, left)))
                left -= length
        if kept:
            few.append(kept)
    return few


def _aside(shape: Shape, recipe: Recipe, device: Device, work: Work) -> float:
    """Seconds of a step that memory takes, not products: unpacking the weights, and the optimiser."""
    assert isinstance(device.sheet, Sheet)
    moved = float(_STEP_BYTES * adapter_numbers(shape, recipe.lora))
    if held(shape, recipe, device) == "packed":
        times = (3 if recomputes(recipe, device) else 2) + (recipe.method == "dpo")
        unpacked = packed_bytes(shape) + device.width * linear_numbers(shape)
        moved += times * unpacked * len(work.passes) / len(work.shown)
    return moved / (device.sheet.memory_tbs * 1e12)


def _tokens(rows: Pass) -> int:
    return sum(tokens for tokens, _ in rows)
