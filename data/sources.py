"""Several sources as one data set: what each gives, and in which order.

A source's weight is how often its conversations are used: 1 takes each of them once; 0.3 takes three
tenths of them; 2.5 takes all of them twice, and half of them once more. The fraction's count is rounded to
the nearest whole (a half to the even one). Which conversations a fraction takes is decided by a hash of
seed, source and place in the source, so it is always the same, and more of a source (a larger weight) only
adds to what less of it took. One source of weight 1 keeps its order; anything else is shuffled by the seed.
"""

import hashlib
import random
from collections.abc import Sequence

from pydantic import Field, field_validator

from data.formats import FORMATS
from data.strict import Strict


class Source(Strict):
    """One source of records."""

    path: str = Field(min_length=1)
    """A file, folder, glob or `hf:owner/name[:split][@revision]`."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often its records are used: 1 takes each once, 0.3 three tenths of them, 2.5 all twice and half
    of them once more."""
    format: str | None = None
    """The records' format, where their keys are not to tell it: openai, sharegpt, xlam, alpaca, completion or
    hermes."""

    @field_validator("format")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in FORMATS:
            raise ValueError(f"must be one of {', '.join(FORMATS)}")
        return value

    @property
    def at(self) -> str:
        """Where `path` leads to from here; the recipe's own words stay as they are."""
        return self.path if self.path.startswith("hf:") else self.opened(self.path)


def mixed(sources: Sequence[Source], counts: Sequence[int], seed: int) -> list[tuple[int, int]]:
    """The order of training as pairs (source, its conversation), where source i has `counts[i]`."""
    order = [
        (number, index)
        for number, (source, count) in enumerate(zip(sources, counts, strict=True))
        for index in _taken(source, count, seed)
    ]
    if len(sources) > 1 or sources[0].weight != 1:
        random.Random(seed).shuffle(order)
    return order


def _taken(source: Source, count: int, seed: int) -> list[int]:
    """Indices below `count`, each as often as the weight says."""
    whole = int(source.weight)
    some = round((source.weight - whole) * count)
    drawn = (
        sorted(range(count), key=lambda index: _draw(f"{seed}\n{source.path}\n{index}"))[:some]
        if some
        else []
    )
    return [*range(count)] * whole + sorted(drawn)


def _draw(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
