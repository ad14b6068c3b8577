"""Causal attention over rows laid end to end without padding.

On CUDA each row goes to torch's own fused kernel. torch's CPU kernels have no fast backward in bfloat16 and
no form for rows of unequal length. There the queries of all heads that share a key head are one tall matrix,
taken in blocks that see only the keys before their end. Blocks with few keys keep their weights for the
backward pass; it computes those of longer rows again rather than keep T x T of them for each layer (Dao et
al., FlashAttention, 2022).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch

NAME = "enxerto"
BLOCK = 256  # queries a block: little is computed above the diagonal, and the scores stay in the cache
KEPT = 512
"""A block that sees no more keys keeps its weights: a quarter more memory a token, a twentieth less time."""


def install() -> str:
    """Register with transformers; give the returned name as `attn_implementation`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _forward)
    return NAME


def causal_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, rows: Sequence[int] = ()
) -> torch.Tensor:
    """`[B, H, T, D]` out of query `[B, H, T, D]` and key, value `[B, K, T, D]`, where K divides H.

    `rows` are the lengths of independent rows that lie end to end along T, in all T; none means one row.
    """
    lengths = tuple(rows) or (query.shape[2],)
    if sum(lengths) != query.shape[2]:
        raise ValueError(f"rows of {sum(lengths)} tokens in all, but {query.shape[2]} tokens were given")
    if query.is_cuda:
        return _row_by_row(query, key, value, scale, lengths)
    output: torch.Tensor = _Causal.apply(query, key, value, scale, lengths)
    return output


def _forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    rows: Sequence[int] = (),
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface; `rows` comes through the model's keyword arguments."""
    if attention_mask is not None:
        raise ValueError("this attention is causal only; lay rows end to end and give no mask")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return causal_attention(query, key, value, scale, rows).transpose(1, 2), None


def _row_by_row(query: Any, key: Any, value: Any, scale: float, rows: Sequence[int]) -> torch.Tensor:
    """The same with torch's fused kernel, which knows no rows: one call for each."""
    grouped = key.shape[1] != query.shape[1]
    parts = zip(*(whole.split(list(rows), 2) for whole in (query, key, value)), strict=True)
    return torch.cat(
        [
            torch.nn.functional.scaled_dot_product_attention(
                *part, is_causal=True, scale=scale, enable_gqa=grouped
            )
            for part in parts
        ],
        2,
    )


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Any, key: Any, value: Any, scale: float, rows: tuple[int, ...]
    ) -> torch.Tensor:
        query = query.unflatten(1, (key.shape[1], -1))
        output = torch.empty_like(query)
        kept = []
        for first, start, end in blocks(rows):
            weights = _weights(query, key, scale, first, start, end)
            if end - first <= KEPT and any(ctx.needs_input_grad):
                kept.append(weights)
            place = output[:, :, :, start:end]
            place.copy_((weights @ _keys(value, first, end)).view_as(place))
        ctx.save_for_backward(query, key, value, *kept)
        ctx.scale, ctx.rows = scale, rows
        return output.flatten(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        query, key, value, *kept = ctx.saved_tensors
        waiting = iter(kept)
        grad = grads[0].unflatten(1, (key.shape[1], -1))
        d_query, d_key, d_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for first, start, end in blocks(ctx.rows):
            block = _queries(grad, start, end)
            few = end - first <= KEPT
            weights = next(waiting) if few else _weights(query, key, ctx.scale, first, start, end)
            d_weights = block @ _keys(value, first, end).transpose(1, 2)
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype).mul_(ctx.scale)
            for total, part in (
                (d_value[:, :, first:end], weights.transpose(1, 2) @ block),
                (d_key[:, :, first:end], d_scores.transpose(1, 2) @ _queries(query, start, end)),
            ):
                total += part.view_as(total)
            place = d_query[:, :, :, start:end]
            place.copy_((d_scores @ _keys(key, first, end)).view_as(place))
        return d_query.flatten(1, 2), d_key, d_value, None, None


def blocks(rows: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Of each block of queries: where its row starts, and where the block starts and ends."""
    first = 0
    for length in rows:
        for start in range(first, first + length, BLOCK):
            yield first, start, min(start + BLOCK, first + length)
        first += length


def _weights(query: Any, key: Any, scale: float, first: int, start: int, end: int) -> torch.Tensor:
    """Attention weights `[B*K, G*block, end - first]` of the queries from `start` to `end`."""
    mask = _mask(query.shape[2], start - first, end - first, query.dtype)
    keys = _keys(key, first, end)
    return torch.softmax(torch.baddbmm(mask, _queries(query, start, end), keys.mT, alpha=scale), -1)


def _queries(grouped: Any, start: int, end: int) -> torch.Tensor:
    """`[B, K, G, T, D]` to `[B*K, G*block, D]`."""
    return grouped[:, :, :, start:end].flatten(2, 3).flatten(0, 1)


def _keys(shared: Any, first: int, end: int) -> torch.Tensor:
    """`[B, K, T, D]` to `[B*K, end - first, D]`."""
    return shared[:, :, first:end].flatten(0, 1)


@lru_cache(maxsize=256)
def _mask(groups: int, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
    """`[1, G*block, end]`: minus infinity where a key stands behind its query."""
    full = torch.full((end - start, end), float("-inf"), dtype=dtype)
    return full.triu(start + 1).repeat(groups, 1)[None]
