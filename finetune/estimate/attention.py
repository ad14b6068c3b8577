"""Pairs of a query and a key in a row: those that attention computes, and those whose weights it keeps."""

BLOCK, KEPT = 256, 512
"""`finetune.model.attention`'s own, which cannot be asked without torch."""


def computed(length: int) -> int:
    """Queries go block by block, each with all keys before its block's end."""
    return sum((end - start) * end for start, end in _blocks(length))


def kept(length: int) -> int:
    """Those of blocks with few keys; the others are computed again in the backward pass."""
    return sum((end - start) * end for start, end in _blocks(length) if end <= KEPT)


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]
