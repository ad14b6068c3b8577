"""How long a few layers of a base take here: random weights of its shape, rows as the trainer lays them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from finetune.base.catalogue import Shape
from finetune.estimate.shapes import linear_numbers, products
from finetune.estimate.work import Pass
from finetune.model import add_lora
from finetune.model.allocator import keep_memory
from finetune.model.attention import install
from finetune.model.choice import fastest_dtype
from finetune.model.packed import PackedLinear
from finetune.model.rms_norm import fuse_norms
from finetune.recipe import Recipe
from finetune.training.collate import lay
from finetune.training.labels import IGNORED
from finetune.training.loss import linear_cross_entropy

_FEWEST, _MOST = 2, 8
_CACHE = 64e6
"""Bytes; layers that a processor's cache holds all together are faster than those of a whole base."""

_ROUNDS, _ENOUGH = 3, 8.0
"""Rounds that are counted, and the seconds after which there is no further one."""


@dataclass(frozen=True)
class Found:
    """Seconds: `layers` of the timed layers and `head` of the output layer, over all passes; `step` of the
    optimiser for the timed layers' adapter, once."""

    layers: float
    head: float
    step: float


def layers_of(shape: Shape) -> int:
    """How many layers are timed."""
    enough = math.ceil(_CACHE * shape.num_hidden_layers / (2 * linear_numbers(shape)))
    return min(shape.num_hidden_layers, max(_FEWEST, min(_MOST, enough)))


def probe(shape: Shape, recipe: Recipe, passes: Sequence[Pass], weights: str, recompute: bool) -> Found:
    """Medians of a few rounds, after one that is not counted."""
    keep_memory()
    model = _model(shape, recipe, weights, recompute)
    adapter = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(adapter, lr=1e-6, fused=True)
    laid = [lay([_row(*row) for row in one], fill=1).to(model.device) for one in passes]
    twice = recipe.method == "dpo"

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(adapter, 1.0)
        optimiser.step()

    rounds: list[tuple[float, float, float]] = []
    started = time.perf_counter()
    while len(rounds) < 2 or (len(rounds) <= _ROUNDS and time.perf_counter() - started < _ENOUGH):
        layers = _seconds(lambda: _layers(model, laid, twice))
        head = _seconds(lambda: _head(model, laid, twice))
        rounds.append((layers, head, _seconds(step)))
    return Found(*(median(values) for values in zip(*rounds[1:], strict=True)))


def _model(shape: Shape, recipe: Recipe, weights: str, recompute: bool) -> Any:
    """`layers_of` layers with an adapter on them, ready to train."""
    from transformers import LlamaConfig, LlamaForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = fastest_dtype()
    numbers = shape.model_dump(exclude={"group_size", "num_hidden_layers", "tie_word_embeddings"})
    config = LlamaConfig(
        **numbers, num_hidden_layers=layers_of(shape), tie_word_embeddings=True, attn_implementation=install()
    )
    with torch.device(device):
        model = LlamaForCausalLM(config).to(dtype).requires_grad_(False)
        if weights == "packed":
            for name, module in list(model.model.named_modules()):
                if name.rpartition(".")[2] in products(shape):
                    model.model.set_submodule(name, _packed(module, shape.group_size, dtype))
    fuse_norms(model)
    model.config.use_cache = False
    trained = add_lora(model, recipe.lora).train()
    if recompute:
        trained.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return trained


def _packed(layer: torch.nn.Linear, group: int, dtype: torch.dtype) -> PackedLinear:
    columns, rows = layer.in_features, layer.out_features
    return PackedLinear(
        torch.randint(-(2**31), 2**31, (columns, rows // 8), dtype=torch.int32),
        torch.randint(-(2**31), 2**31, (columns // group, rows // 8), dtype=torch.int32),
        torch.full((columns // group, rows), 1e-3, dtype=torch.float16),
        dtype,
    )


def _row(length: int, learnt: int) -> tuple[list[int], list[int]]:
    """Any tokens; the last `learnt` of them are learnt."""
    ids = [at % 1000 for at in range(length)]
    return ids, [IGNORED] * (length - learnt) + ids[length - learnt :]


def _layers(model: Any, batches: Sequence[Any], twice: bool) -> None:
    decoder = model.get_base_model().model
    for batch in batches:
        if twice:
            with torch.no_grad(), model.disable_adapter():
                decoder(**batch.inputs, use_cache=False)
        hidden = decoder(**batch.inputs, use_cache=False).last_hidden_state
        hidden.backward(torch.ones_like(hidden))


def _head(model: Any, batches: Sequence[Any], twice: bool) -> None:
    weight = model.get_base_model().lm_head.weight
    for batch in batches:
        labels = batch.labels[batch.labels != IGNORED]
        hidden = torch.ones(len(labels), weight.shape[1], dtype=weight.dtype, device=weight.device)
        if twice:
            linear_cross_entropy(hidden, weight, labels)
        linear_cross_entropy(hidden.requires_grad_(), weight, labels)


def _seconds(run: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
