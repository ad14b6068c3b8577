"""CPU attention against torch's own, row by row, forward and backward."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from finetune.model.attention import causal_attention


@pytest.mark.parametrize("rows", [[1], [7], [256], [257], [3, 600, 1, 40], [64] * 5])
@pytest.mark.parametrize(("heads", "shared"), [(9, 3), (4, 4), (2, 1)])
def test_equals_torch_row_by_row(rows: list[int], heads: int, shared: int) -> None:
    torch.manual_seed(len(rows))
    tokens = sum(rows)
    query = torch.randn(2, heads, tokens, 16, requires_grad=True)
    key, value = (torch.randn(2, shared, tokens, 16, requires_grad=True) for _ in range(2))
    grad = torch.randn(2, heads, tokens, 16)

    causal_attention(query, key, value, 0.25, rows).backward(grad)
    ours = [tensor.grad for tensor in (query, key, value)]
    output = causal_attention(query, key, value, 0.25, rows)

    query.grad = key.grad = value.grad = None
    parts = [
        scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, scale=0.25)
        for q, k, v in zip(*(tensor.split(rows, dim=2) for tensor in (query, key, value)), strict=True)
    ]
    theirs = torch.cat(parts, dim=2)
    theirs.backward(grad)
    torch.testing.assert_close(output, theirs, rtol=1e-4, atol=1e-5)
    for mine, tensor in zip(ours, (query, key, value), strict=True):
        torch.testing.assert_close(mine, tensor.grad, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_as_near_to_float32_as_torch_is() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 300, 64) for heads in (9, 3, 3))
    exact = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    half = [tensor.bfloat16() for tensor in (query, key, value)]
    torchs = scaled_dot_product_attention(*half, is_causal=True, enable_gqa=True).float()
    ours = causal_attention(*half, 0.125).float()
    assert (ours - exact).abs().mean() < 1.5 * (torchs - exact).abs().mean()


def test_rows_that_do_not_fill_the_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of 5 tokens in all, but 6"):
        causal_attention(*(torch.zeros(1, 1, 6, 4) for _ in range(3)), 0.5, [2, 3])
