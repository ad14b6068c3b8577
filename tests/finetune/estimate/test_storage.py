"""Bytes on disk, against files that training writes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from finetune.estimate.devices import Device
from finetune.estimate.rows import Rows, given
from finetune.estimate.shapes import adapter_numbers
from finetune.estimate.storage import storage
from finetune.estimate.work import work
from finetune.recipe import Recipe
from tests.finetune.estimate.model import recipe, shape

CPU = Device("cpu", "cpu", 16e9, 4)


def disk(wanted: Recipe, rows: Rows | None = None, seconds: float = 0, here: bool = True) -> dict[str, float]:
    rows = rows or given(wanted, 100, 500)
    planned = work(rows, wanted.train, 2048, 64, exact=False)
    return storage(shape(), wanted, CPU, rows, planned, seconds=seconds, here=here, fresh=not here)


def test_a_checkpoint_has_the_adapter_and_both_moments(tmp_path: Path) -> None:
    numbers = adapter_numbers(shape(), recipe().lora)
    p = torch.nn.Parameter(torch.ones(numbers))
    optimiser = torch.optim.AdamW([p])
    p.grad = torch.ones(numbers)
    optimiser.step()
    save_file({"p": p.detach()}, tmp_path / "adapter.safetensors")
    torch.save(optimiser.state_dict(), tmp_path / "optimizer.pt")
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    found = disk(recipe(train={"steps": 1}))
    assert found["checkpoints"] == pytest.approx(written + 0.1e6, rel=0.02)


@pytest.mark.parametrize(
    ("train", "seconds", "kept", "another"),
    [
        ({"steps": 50}, 0, 1, False),  # the last one only
        ({"steps": 50, "checkpoints": {"steps": 10}}, 0, 2, True),
        ({"steps": 50, "checkpoints": {"steps": 10, "keep": 9}}, 0, 5, False),
        ({"steps": 50, "checkpoints": {"minutes": 1, "keep": 3}}, 600, 3, True),
    ],
)
def test_checkpoints_that_stay_and_what_is_written_beside_them(
    train: dict[str, Any], seconds: float, kept: int, another: bool
) -> None:
    one = disk(recipe(train={"steps": 1}))["checkpoints"]
    found = disk(recipe(train=train), seconds=seconds)
    assert found["checkpoints"] == kept * one
    assert (found["checkpoint or adapter being written"] == one) == another


def test_the_best_one_is_kept_besides() -> None:
    train = {"steps": 50, "checkpoints": {"steps": 10}}
    wanted = recipe(train=train)
    rows = Rows([[(100, 30)]], 90, 10, "")
    assert disk(wanted, rows)["checkpoints"] == 1.5 * disk(wanted)["checkpoints"]


def test_a_base_that_is_here_takes_no_more() -> None:
    there, missing = disk(recipe()), disk(recipe(), here=False)
    assert there["base"] == there["dense weights"] == 0
    assert 0 < missing["base"] < missing["dense weights"]
