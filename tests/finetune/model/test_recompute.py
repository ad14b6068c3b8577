"""Layers that fit keep their activations; which ones do changes no number."""

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


@pytest.mark.parametrize(
    ("room", "layer", "kept"), [(-5.0, 2.0, 1), (0.0, 2.0, 1), (1.9, 2.0, 1), (4.0, 2.0, 3), (1e9, 2.0, 8)]
)
def test_one_keeps_already_and_as_many_more_as_fit(room: float, layer: float, kept: int) -> None:
    assert layers_that_fit(room, layer, 8) == kept


@pytest.fixture
def model(base: Path) -> Any:
    torch.manual_seed(0)
    made = add_lora(load_base(base, "dense", torch.float32), Lora(r=4, alpha=8)).train()
    made.enable_input_require_grads()
    made.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return made


def recomputed(model: Any) -> list[bool]:
    return [layer.gradient_checkpointing for layer in model.get_base_model().model.layers]


def gradients(model: Any) -> list[torch.Tensor]:
    ids = torch.randint(3, 40000, (64,), generator=torch.Generator().manual_seed(1)).tolist()
    model.zero_grad()
    token_losses(model, lay([(ids, ids)], 64)).mean().backward()
    return [p.grad.clone() for p in model.parameters() if p.requires_grad]


def test_a_measured_step_decides_and_changes_no_gradient(model: Any, monkeypatch: Any) -> None:
    """The GPU's own numbers are stood in for: 100 bytes a layer and pass of 64 tokens, 1000 in all."""
    layers = len(recomputed(model))
    allocated = iter([200, 300, 400, 300])  # at the start; before and after the last layer; after the step
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: next(allocated))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 450)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 500)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2000, 9999))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    keeping, nothing = KeepWhatFits(model, tokens=128), SimpleNamespace()
    keeping.on_train_begin(nothing, nothing, nothing)
    assert recomputed(model) == [True] * (layers - 1) + [False]
    first = gradients(model)
    keeping.on_step_end(nothing, nothing, nothing)
    # Passes may be twice as wide: of ROOM * 2500 bytes 300 stay, 2 * 250 come and go, 200 a layer.
    kept = 1 + int((ROOM * 2500 - 300 - 500) // 200)
    assert keeping.kept == kept < layers
    assert recomputed(model) == [True] * (layers - kept) + [False] * kept
    assert all(torch.equal(a, b) for a, b in zip(first, gradients(model), strict=True))
    keeping.on_step_end(nothing, nothing, nothing)  # looks once
