"""What somebody may have meant by a name that nobody has."""

import difflib
import heapq

from serve.registry.records import UnknownAdapter

COMPARED = 64
"""Names compared in full with an unknown one, at some 50 µs each: a registry may hold thousands."""


def unknown(asked: str, known: list[str]) -> UnknownAdapter:
    """The error for a name, with those of `known` that are most like it."""
    text = asked[:200]
    near = difflib.get_close_matches(text, _likely(text, known), n=3, cutoff=0.5)
    return UnknownAdapter(f"no model or adapter is named {asked[:100]!r}", near)


def _likely(asked: str, known: list[str]) -> list[str]:
    """The names that begin and end most as `asked` does."""
    if len(known) <= COMPARED:
        return known
    turned = asked[::-1]
    return heapq.nlargest(
        COMPARED, known, key=lambda name: _same_start(name, asked) + _same_start(name[::-1], turned)
    )


def _same_start(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
