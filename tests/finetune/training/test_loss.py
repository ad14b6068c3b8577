"""The loss in chunks against torch's own, and rows end to end against rows alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.model import add_lora, load_base
from finetune.recipe import Lora
from finetune.training import loss
from finetune.training.collate import lay
from finetune.training.labels import IGNORED
from finetune.training.loss import linear_cross_entropy, token_losses
from tests.finetune import tiny_awq


@pytest.mark.parametrize("limit", [1, 70, 1 << 25])
def test_losses_and_gradient_are_those_of_torch(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "LOGITS", limit)
    torch.manual_seed(0)
    hidden, weight = torch.randn(13, 8, requires_grad=True), torch.randn(31, 8)
    labels, factors = torch.randint(0, 31, (13,)), torch.randn(13)
    ours = linear_cross_entropy(hidden, weight, labels)
    (ours * factors).sum().backward()
    grad, hidden.grad = hidden.grad, None
    theirs = torch.nn.functional.cross_entropy(hidden @ weight.t(), labels, reduction="none")
    (theirs * factors).sum().backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grad, hidden.grad)


def test_in_bfloat16_the_gradient_is_as_near_to_float32_as_torchs() -> None:
    torch.manual_seed(0)
    exact, weight, labels = torch.randn(64, 32), torch.randn(500, 32), torch.randint(0, 500, (64,))

    def gradient(function: Any, dtype: torch.dtype) -> torch.Tensor:
        hidden = exact.to(dtype, copy=True).requires_grad_()
        (function(hidden, weight.to(dtype), labels).sum() / 640).backward()
        assert hidden.grad is not None
        return hidden.grad.float()

    def plain(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy((hidden @ weight.t()).float(), labels, reduction="none")

    reference = gradient(plain, torch.float32)
    ours, theirs = (
        (gradient(function, torch.bfloat16) - reference).norm() for function in (linear_cross_entropy, plain)
    )
    assert ours <= 1.1 * theirs


def test_no_gradient_is_computed_where_none_is_wanted() -> None:
    hidden = torch.randn(3, 8)
    assert not linear_cross_entropy(hidden, torch.randn(5, 8), torch.tensor([0, 1, 2])).requires_grad


@pytest.fixture(scope="module")
def model(tiny_home: Path) -> Any:
    made = add_lora(load_base(tiny_home / "bases" / tiny_awq.BASE, "dense", torch.float32), Lora(r=4))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.02)
    return made


def rows(seed: int, *lengths: int) -> list[tuple[list[int], list[int]]]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for length in lengths:
        ids = torch.randint(3, 40000, (length,), generator=generator).tolist()
        made.append((ids, [IGNORED] * (length // 2) + ids[length // 2 :]))
    return made


@pytest.mark.parametrize("fill", [64, 1])
def test_packed_rows_have_the_losses_of_rows_alone(model: Any, fill: int) -> None:
    """Also against transformers' own attention and loss, one row at a time."""
    packed_rows = rows(0, 40, 300, 7, 65)
    packed = token_losses(model, lay(packed_rows, fill))
    alone = torch.cat([token_losses(model, lay([row], fill)) for row in packed_rows])
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
    model.get_base_model().set_attn_implementation("eager")
    try:
        theirs = []
        for ids, labels in packed_rows:
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1]
            target = torch.tensor(labels)[1:]
            each = torch.nn.functional.cross_entropy(logits, target, reduction="none", ignore_index=IGNORED)
            theirs.append(each[target != IGNORED])
    finally:
        model.get_base_model().set_attn_implementation("enxerto")
    torch.testing.assert_close(packed, torch.cat(theirs), rtol=1e-4, atol=1e-5)


def test_a_row_changes_nothing_for_its_neighbours(model: Any) -> None:
    first, second, third = rows(1, 50, 80, 30)
    (other,) = rows(2, 80)
    for row in (second, other):
        losses = token_losses(model, lay([first, row, third], 64))
        torch.testing.assert_close(losses[:25], token_losses(model, lay([first], 64)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(losses[-15:], token_losses(model, lay([third], 64)), rtol=1e-4, atol=1e-5)
