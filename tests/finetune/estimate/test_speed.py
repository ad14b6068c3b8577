"""Operations against torch's own counter, and seconds out of a data sheet."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from finetune.estimate.devices import Device, Sheet
from finetune.estimate.probe import layers_of
from finetune.estimate.rows import given
from finetune.estimate.speed import UTILISATION, operations, time_of
from finetune.estimate.work import work
from finetune.training.collate import lay
from finetune.training.labels import IGNORED
from finetune.training.objectives import objective
from tests.finetune.estimate.model import recipe, shape, trainable

GPU = Device("gpu", "cuda", 80e9, 2, Sheet(memory_gb=80, bf16_tflops=100, memory_tbs=1e6))


def in_place(_: Any, left: Any, right: Any, **__: Any) -> int:
    return 2 * left[0] * left[1] * right[1]


def executed(layers: int, rows: list[tuple[int, int]], wanted: Any) -> int:
    """Operations of a pass, forward and backward; torch knows `addmm` only where it is not in place."""
    model = trainable(shape(layers), wanted, torch.float32)
    laid = [([1] * length, [IGNORED] * (length - learnt) + [1] * learnt) for length, learnt in rows]
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
        loss, _ = objective(wanted).loss(model, lay(laid, fill=1))
        loss.backward()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("method", ["sft", "dpo"])
@pytest.mark.parametrize("rows", [[(100, 20), (60, 60)], [(700, 3), (513, 1)]], ids=str)
def test_operations_are_those_that_torch_counts(rows: list[tuple[int, int]], method: str) -> None:
    rows = [(length, learnt - 1 if learnt == length else learnt) for length, learnt in rows]
    wanted = recipe(method)
    # Two depths: what the first layer saves, having no input to give a gradient to, drops out.
    counted = executed(6, rows, wanted) - executed(2, rows, wanted)
    expected = [operations(shape(layers), wanted, rows, False).total for layers in (6, 2)]
    assert expected[0] - expected[1] == pytest.approx(counted, rel=0.01)


def test_the_output_layer_sees_learnt_tokens_only() -> None:
    wide = shape(vocab_size=4096)
    some, more = (operations(wide, recipe(), [(100, learnt)], False).total for learnt in (10, 50))
    assert more - some == 40 * 4 * 96 * 4096  # forward, and the hidden states' gradient


def test_recomputing_is_a_third_forward() -> None:
    plain, again = (operations(shape(), recipe(), [(256, 1)], recompute) for recompute in (False, True))
    head = 2.0 * 512 * 96
    assert again.total - plain.total == plain.forward - head


def test_a_data_sheet_gives_seconds() -> None:
    wanted = recipe(train={"batch": 4, "gradient_checkpointing": False})
    planned = work(given(wanted, 100, 500), wanted.train, 4096, 1, exact=False)
    took = time_of(shape(), wanted, GPU, planned)
    cost = 4 * operations(shape(), wanted, [(500, 167)], False).total
    assert took.per_step == pytest.approx(cost / (UTILISATION * 100e12), rel=0.01)
    assert took.tokens_per_second == pytest.approx(2000 / took.per_step)
    assert took.seconds == pytest.approx(took.per_step)
    assert "assumed: 50% of its 100 TFLOP/s" in took.origin


def test_unpacking_takes_time_of_memory_in_each_pass() -> None:
    slow = Device("gpu", "cuda", 80e9, 2, Sheet(memory_gb=80, bf16_tflops=1e6, memory_tbs=1))
    wanted = recipe(train={"batch": 4, "gradient_checkpointing": False})
    packed = wanted.model_copy(update={"base": wanted.base.model_copy(update={"weights": "packed"})})
    rows = given(wanted, 100, 500)
    one, four = (
        time_of(shape(), packed, slow, work(rows, wanted.train, micro, 1, exact=False)).per_step
        - time_of(shape(), wanted, slow, work(rows, wanted.train, micro, 1, exact=False)).per_step
        for micro in (2000, 500)
    )
    assert four == pytest.approx(4 * one)


def test_so_many_layers_are_timed_that_no_cache_holds_them() -> None:
    small, large = shape(30, hidden_size=576, intermediate_size=1536), shape(30, intermediate_size=400_000)
    assert [layers_of(one) for one in (shape(1), shape(30), small, large)] == [1, 8, 8, 2]


def test_evaluations_add_their_forward_passes() -> None:
    wanted = recipe(train={"batch": 4})
    held = wanted.model_copy(update={"data": wanted.data.model_copy(update={"heldout": 0.5})})
    without, beside = (
        time_of(shape(), one, GPU, work(given(one, 200, 500), one.train, 4096, 1, exact=False))
        for one in (wanted, held)
    )
    assert beside.per_step == pytest.approx(without.per_step, rel=0.01)
    assert beside.seconds > 5 * without.seconds  # 100 held-out rows forward, 4 trained on
