"""Where each record comes from, and whether it is trained on or held out."""

from array import array
from collections.abc import Sequence

from data.splits import Keys, Split
from finetune.validate.report import Source


class Sides:
    """`split` is the recipe's; None where it holds nothing out of the sources that are trained on."""

    def __init__(self, sources: Sequence[Source], split: Split | None) -> None:
        self._sources = sources
        self._split = split
        self._owners = array("I")
        self._groups: list[str] = []
        """Of records to be split, in their order."""

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, owner: int, count: int, keys: Sequence[Keys]) -> None:
        """Take `count` records of source number `owner`, with their keys where there is a split."""
        self._owners.extend([owner] * count)
        if self._split and not self._sources[owner].heldout:
            self._groups += map(self._split.add, keys)

    def source(self, number: int) -> Source:
        """The source of record `number`."""
        return self._sources[self._owners[number]]

    def heldout(self) -> bytearray:
        """1 or 0 of each record, when all have been added; counts what the split holds out."""
        groups = iter(self._groups)
        aside = bytearray(len(self))
        for number in range(len(self)):
            source = self.source(number)
            if source.heldout:
                aside[number] = 1
            elif self._split and self._split.held_out(next(groups)):
                aside[number] = 1
                source.tally.held_out += 1
        return aside
