"""What a scorer says of an answer."""

from collections.abc import Callable
from dataclasses import dataclass

from data.report import Answer


@dataclass(frozen=True)
class Verdict:
    """`score` is between 0 and 1, or None where the sample cannot be scored; `why` is for people."""

    score: float | None
    why: str
    flags: tuple[str, ...] = ()


Score = Callable[[Answer, bool], Verdict]
"""Of an answer, and whether it was cut off at the token limit."""
