"""Records that repeat another one, whichever their kind."""

from collections.abc import Iterator

from data.duplicates import Fingerprints, Pair
from finetune.validate.chunk import Examined


class Repeats:
    """Two preferences are duplicates when prompt and both answers are the same; one rejected answer more is
    news. A held-out record is known already when training learns its answer, rejected ones aside: so a
    preference and a conversation may overlap too. Where there is no preference the two are one.
    """

    def __init__(self, preferences: bool) -> None:
        self._whole = Fingerprints()
        self._answered = Fingerprints() if preferences else None

    def add(self, result: Examined) -> None:
        self._whole.add(result.fingerprints)
        if self._answered is not None:
            self._answered.add(result.answered or result.fingerprints)

    def pairs(self, similarity: float, heldout: bytearray) -> Iterator[Pair]:
        """As `Fingerprints.pairs`, duplicates before overlaps where there are preferences."""
        if self._answered is None:
            yield from self._whole.pairs(similarity, heldout)
            return
        yield from (pair for pair in self._whole.pairs(similarity, heldout) if not pair.overlap)
        yield from (pair for pair in self._answered.pairs(similarity, heldout) if pair.overlap)

    def close(self) -> None:
        self._whole.close()
        if self._answered is not None:
            self._answered.close()
