"""The CPU's LoRA operators against a plain computation, row by row."""

import pytest
import torch
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.lora.punica_wrapper.punica_selector import get_punica_wrapper

from serve.engine import plugin
from serve.engine.cpu_lora import GroupedLoRA, group_rows

SLOTS, MAX_RANK, WIDTH = 3, 16, 96
SLICES = (64, 32, 32)
IDS: list[int | None] = [7, 3, 9]
"""The adapter in each slot; all are full, since an empty last slot would hide the fault."""
MIXED = (7, 0, 3, 3, 0, 9, 7, 0, 9, 0)
"""An adapter id a row; 0 is the base."""


def _filled(ranks: tuple[int, ...]) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Strong adapters of the given ranks, one a slot, padded with zeros as vLLM pads them."""
    torch.manual_seed(1)
    a = tuple(torch.zeros(SLOTS, 1, MAX_RANK, WIDTH) for _ in SLICES)
    b = tuple(torch.zeros(SLOTS, 1, out, MAX_RANK) for out in SLICES)
    for slot, rank in enumerate(ranks):
        for down, up in zip(a, b, strict=True):
            down[slot, 0, :rank] = torch.randn(rank, WIDTH)
            up[slot, 0, :, :rank] = torch.randn(up.shape[2], rank)
    return a, b


def _plain(
    rows: tuple[int, ...], x: torch.Tensor, a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """What each row must get from its own adapter alone, in float64."""
    total = torch.zeros(len(rows), sum(SLICES), dtype=torch.float64)
    for row, adapter in enumerate(rows):
        if adapter:
            slot = IDS.index(adapter)
            deltas = [
                up[slot, 0].double() @ (down[slot, 0].double() @ x[row].double())
                for down, up in zip(a, b, strict=True)
            ]
            total[row] = torch.cat(deltas)
    return total


def _given(
    wrapper: object, rows: tuple[int, ...], x: torch.Tensor, y: torch.Tensor, a: object, b: object
) -> torch.Tensor:
    mapping = LoRAMapping(index_mapping=rows, prompt_mapping=rows, is_prefill=True)
    wrapper.update_metadata(mapping, IDS, SLOTS, 1000)  # type: ignore[attr-defined]
    wrapper.add_lora_linear(y, x, a, b, 1.0, SLICES)  # type: ignore[attr-defined]
    return y


def _installed() -> object:
    """The operators that a vLLM process gets after it has loaded the plugin."""
    plugin.install_operators()
    return get_punica_wrapper(64, max_batches=64, device="cpu")


@pytest.mark.parametrize(
    "rows",
    [MIXED, (0,) * 6, (9,) * 6, (0, 0, 7, 7, 3, 3), (3,), (0, 9)],
    ids=["mixed", "base only", "one adapter", "neighbours", "one row", "base beside the last slot"],
)
@pytest.mark.parametrize("ranks", [(16, 16, 16), (4, 16, 1)], ids=["full ranks", "mixed ranks"])
def test_every_row_gets_its_own_adapter(rows: tuple[int, ...], ranks: tuple[int, ...]) -> None:
    a, b = _filled(ranks)
    x, y = torch.randn(len(rows), WIDTH), torch.randn(len(rows), sum(SLICES))
    expected = y.double() + _plain(rows, x, a, b)
    got = _given(_installed(), rows, x, y.clone(), a, b)
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-3)
    for row, adapter in enumerate(rows):
        if not adapter:
            assert torch.equal(got[row], y[row]), "the base's rows stay bit for bit"


def test_vllms_own_operators_are_still_wrong() -> None:
    """When this fails, vLLM has mended its operators: see what this project's are still for."""
    a, b = _filled((16, 16, 16))
    x, y = torch.randn(len(MIXED), WIDTH), torch.zeros(len(MIXED), sum(SLICES))
    got = _given(PunicaWrapperCPU(64, max_batches=64, device="cpu"), MIXED, x, y, a, b)
    assert got[MIXED.index(0)].abs().max() > 1


def test_bfloat16_is_as_close_as_bfloat16_can_be() -> None:
    a, b = _filled((16, 16, 16))
    x, y = torch.randn(len(MIXED), WIDTH), torch.randn(len(MIXED), sum(SLICES))
    a, b = tuple(t.bfloat16() for t in a), tuple(t.bfloat16() for t in b)
    x, y = x.bfloat16(), y.bfloat16()
    expected = y.double() + _plain(MIXED, x, a, b)
    got = _given(_installed(), MIXED, x, y.clone(), a, b).double()
    assert (got - expected).norm() / expected.norm() < 2**-7


def test_a_slot_that_is_written_again_is_seen() -> None:
    wrapper, rows = _installed(), (3, 9)
    a, b = _filled((16, 16, 16))
    x = torch.randn(2, WIDTH)
    _given(wrapper, rows, x, torch.zeros(2, sum(SLICES)), a, b)
    with torch.inference_mode():
        a[1][1, 0] = torch.randn(MAX_RANK, WIDTH)
    got = _given(wrapper, rows, x, torch.zeros(2, sum(SLICES)), a, b)
    torch.testing.assert_close(got.double(), _plain(rows, x, a, b), rtol=1e-4, atol=1e-3)


def test_neighbours_make_a_slice() -> None:
    groups = group_rows((0, 5, 5, 0, 6), {5: 1, 6: 0})
    assert [(group.slot, group.rows) for group in groups] == [(1, slice(1, 3)), (0, slice(4, 5))]


def test_layers_that_are_not_linear_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="lora_target_modules"):
        GroupedLoRA(8, 8, "cpu").add_lora_logits(None, None, None, None, 1.0)
