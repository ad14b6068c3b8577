"""Which rows of logits are no numbers, before anything was masked and after it."""

import pytest
import torch

from serve.engine.numbers import count_unsound

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("width", [3, 64, 49152])
def test_rows_that_give_no_probabilities_are_counted(dtype: torch.dtype, width: int) -> None:
    """As softmax has it, which is NaN for exactly these."""
    rows: list[list[float]] = [[-1.0] * width for _ in range(8)]
    rows[1][width // 2] = NAN
    rows[2][-1] = INFINITY
    rows[3] = [-INFINITY] * width
    rows[4][1:] = [-INFINITY] * (width - 1)
    rows[5][0], rows[5][1] = NAN, INFINITY
    rows[6][0], rows[6][-1] = -INFINITY, NAN
    rows[7] = [60_000.0] * width
    logits = torch.tensor(rows, dtype=dtype)
    counted = count_unsound(logits)
    assert counted.dtype == torch.int32
    assert counted.tolist() == [0, 1, 1, 1, 0, 1, 1, 0]
    assert counted.bool().tolist() == logits.float().softmax(dim=-1).isnan().any(dim=-1).tolist()
