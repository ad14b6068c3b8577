"""Layers that fit keep their activations; which ones do changes no number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from finetune.model import add_lora, load_base
from finetune.model.recompute import ROOM, KeepWhatFits, layers_that_fit
from finetune.recipe import Lora
from finetune.training.collate import lay
from finetune.training.loss import token_losses
from tests.finetune import tiny_awq

TOKENS = 64
NOTHING: Any = SimpleNamespace()


@pytest.mark.parametrize(
    ("room", "layer", "kept"), [(-5.0, 2.0, 1), (0.0, 2.0, 1), (1.9, 2.0, 1), (4.0, 2.0, 3), (1e9, 2.0, 8)]
)
def test_one_keeps_already_and_as_many_more_as_fit(room: float, layer: float, kept: int) -> None:
    assert layers_that_fit(room, layer, 8) == kept


@dataclass
class Budget:
    """A device of `total` bytes, whose allocator's answers are `allocated` in turn."""

    total: int
    most: int
    allocated: Iterator[int]

    def held(self) -> int:
        return next(self.allocated)

    def peak(self) -> int:
        return self.most

    def watch(self) -> None: ...

    def whole(self) -> int:
        return self.total


def checkpointed(model: Any) -> Any:
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def layers(model: Any) -> list[Any]:
    return list(model.get_base_model().model.layers)


def recomputed(model: Any) -> list[bool]:
    return [layer.gradient_checkpointing for layer in layers(model)]


def backward(model: Any, seed: int = 1) -> torch.Tensor:
    ids = torch.randint(3, 40000, (TOKENS,), generator=torch.Generator().manual_seed(seed)).tolist()
    model.zero_grad()
    loss = token_losses(model, lay([(ids, ids)], TOKENS)).mean()
    loss.backward()
    return loss.detach()


def gradients(model: Any) -> list[torch.Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.requires_grad]


def test_a_measured_step_decides_and_changes_no_gradient(base: Path) -> None:
    """A device of 2500 bytes stands in, in which a layer keeps 100; the model and its passes are real."""
    torch.manual_seed(0)
    model = checkpointed(add_lora(load_base(base, "dense", torch.float32), Lora(r=4, alpha=8)).train())
    count = len(layers(model))
    held = iter([200, 300, 400, 300])  # at the start; before and after the last layer; after the step
    keeping = KeepWhatFits(model, 2 * TOKENS, Budget(2500, 450, held))
    keeping.on_train_begin(NOTHING, NOTHING, NOTHING)
    assert recomputed(model) == [True] * (count - 1) + [False]
    keeping.on_step_end(NOTHING, NOTHING, NOTHING)  # a step without a row says nothing
    assert recomputed(model) == [True] * (count - 1) + [False]
    backward(model)
    first = gradients(model)
    keeping.on_step_end(NOTHING, NOTHING, NOTHING)
    # Passes may be twice as wide: of ROOM * 2500 bytes 300 stay, 2 * 250 come and go, 200 a layer.
    kept = 1 + int((ROOM * 2500 - 300 - 500) // 200)
    assert keeping.kept == kept < count
    assert recomputed(model) == [True] * (count - kept) + [False] * kept
    backward(model)
    assert all(torch.equal(a, b) for a, b in zip(first, gradients(model), strict=True))
    keeping.on_step_end(NOTHING, NOTHING, NOTHING)  # looks once


@pytest.fixture(scope="module")
def tiny(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("recompute") / "awq"
    tiny_awq.make_base(folder, base)
    return folder


def trained(folder: Path, weights: str, dtype: torch.dtype, recompute: int, dropout: float) -> list[Any]:
    """Loss and gradients of each of three steps, with the first `recompute` of both layers computed again."""
    torch.manual_seed(3)
    model = add_lora(load_base(folder, weights, dtype), Lora(r=4, alpha=8, dropout=dropout)).train()
    checkpointed(model)
    for number, layer in enumerate(layers(model)):
        layer.gradient_checkpointing = number < recompute
    calls = counted(layers(model)[0])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    seen: list[Any] = []
    for step in range(3):
        seen += [backward(model, step), *gradients(model)]
        optimizer.step()
    assert calls() == 3 * (1 + (recompute > 0))  # the way under test is the way that was gone
    return seen


def counted(layer: Any) -> Callable[[], int]:
    calls: list[None] = []
    layer.mlp.register_forward_pre_hook(lambda *_: calls.append(None))
    return lambda: len(calls)


@pytest.mark.parametrize(("dtype", "dropout"), [(torch.float32, 0.0), (torch.bfloat16, 0.1)])
def test_losses_and_gradients_are_the_same_bits_however_much_is_recomputed(
    tiny: Path, dtype: torch.dtype, dropout: float
) -> None:
    """All, some and no layers, dense and packed: what is learned is one thing."""
    ways = [(weights, recompute) for weights in ("dense", "packed") for recompute in (2, 1, 0)]
    first, *others = (trained(tiny, weights, dtype, recompute, dropout) for weights, recompute in ways)
    assert not torch.equal(first[0], first[len(first) // 3])  # it learns
    for way, other in zip(ways[1:], others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True)), way
