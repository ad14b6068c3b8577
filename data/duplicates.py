"""Conversations that stand twice, and held-out ones that were trained on: exactly, or nearly.

Every conversation leaves a digest and a MinHash signature (Broder 1997) in a temporary file, 544 bytes each,
so memory does not grow with the data. The signatures are then banded (Leskovec et al., Mining of Massive
Datasets, 3.4): of those that agree in a band each is compared with the first and with the one before it, so
that a crowd of look-alikes costs no more than its size.
"""

import hashlib
import marshal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from data.chat import AssistantMessage, Conversation, SystemMessage, ToolMessage, text_of

PERMUTATIONS = 128
_BAND = 4
"""Rows of a band: 32 bands of 4 find a pair of similarity 0.7 with 99.98%, one of 0.3 with 23%."""
_WORDS = 4
"""Words of a shingle; shorter ones make templated answers alike, longer ones miss a changed word or two."""
_ROW = np.dtype([("digest", "<u8", 2), ("signature", "<u4", PERMUTATIONS)])
_SIGNATURE = Struct(f"<{PERMUTATIONS}I")
ROW_BYTES = _ROW.itemsize

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """`later` repeats `earlier` (running numbers of `add`); `similarity` 1 and `exact`, or estimated."""

    later: int
    earlier: int
    similarity: float
    exact: bool
    overlap: bool
    """The later one is held out, and the earlier one is trained on."""


def fingerprint(conversation: Conversation) -> bytes:
    """Digest and signature of a conversation, `ROW_BYTES` long.

    The digest is of everything but ids and category, with runs of blanks as one. The signature is of what
    was said and called; system prompt and tools are left out of it, because unlike conversations share them.
    """
    sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update(_shingles(conversation))
    return _digest(conversation) + _SIGNATURE.pack(*sketch.digest())


def _digest(conversation: Conversation) -> bytes:
    turns: list[Any] = []
    for message in conversation.messages:
        turns.append([message.role, " ".join(text_of(message.content).split())])
        if isinstance(message, AssistantMessage):
            turns[-1].append(message.weight)
            turns[-1] += [[call.function.name, call.function.parsed()] for call in message.tool_calls]
    tools = [
        (tool.function.name, tool.function.description, tool.function.parameters)
        for tool in conversation.tools
    ]
    # The fastest of the exact forms; version 2 writes no back-references, so equal values have equal bytes.
    return hashlib.blake2b(marshal.dumps([turns, tools], 2), digest_size=16).digest()


def _shingles(conversation: Conversation) -> list[str]:
    words: list[str] = []
    for message in conversation.messages:
        if isinstance(message, SystemMessage | ToolMessage):
            continue
        words += text_of(message.content).split()
        if isinstance(message, AssistantMessage):
            for call in message.tool_calls:
                words += [call.function.name, *call.function.arguments.split()]
    rows = zip(*(words[start:] for start in range(_WORDS)), strict=False)
    return [" ".join(row) for row in rows] or [" ".join(words)]


class Fingerprints:
    """The fingerprints of all conversations, on disk; `pairs` compares them when all have been added."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="enxerto-fingerprints-")  # noqa: SIM115 (closed by `close`)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: bytes) -> None:
        """Append one or more fingerprints; they are numbered from 0 in the order of adding."""
        self._file.write(rows)
        self._count += len(rows) // ROW_BYTES

    def close(self) -> None:
        self._file.close()

    def pairs(self, similarity: float, heldout: Sequence[bool | int]) -> Iterator[Pair]:
        """For each conversation its closest earlier one, exact before near, in the order of the later.

        Looks among its own kind (trained on or held out), and for held-out ones also among those trained on,
        wherever they were added. `similarity` is the share of common shingles from which a pair is near;
        `heldout[i]` says of conversation i whether it is held out.
        """
        if len(self) < 2:
            return
        self._file.flush()
        rows = np.memmap(self._file, _ROW, "r", shape=(len(self),))
        aside = np.array(heldout, bool)
        # Trained ones first: then what is held out finds them before it.
        order = np.argsort(aside, kind="stable")
        exact = _Best(len(self))
        exact.offer(*_digest_pairs(rows, order), aside)
        near = _Best(len(self))
        for start in range(0, PERMUTATIONS, _BAND):
            later, earlier = _candidates(rows["signature"][:, start : start + _BAND], order)
            for part in range(0, len(later), 4096):
                two = later[part : part + 4096], earlier[part : part + 4096]
                score = (rows["signature"][two[0]] == rows["signature"][two[1]]).mean(1)
                keep = score >= similarity
                near.offer(two[0][keep], two[1][keep], score[keep], aside)
        yield from _merged(exact, near)


class _Best:
    """The best earlier partner of each conversation, of its own kind and across."""

    def __init__(self, count: int) -> None:
        self.partner = np.full((2, count), -1, np.int64)
        self.score = np.zeros((2, count))

    def offer(
        self, later: Numbers, earlier: Numbers, score: npt.NDArray[np.float64], heldout: npt.NDArray[np.bool_]
    ) -> None:
        across = (heldout[later] != heldout[earlier]).astype(np.int64)
        better = score > self.score[across, later]
        across, later, earlier, score = across[better], later[better], earlier[better], score[better]
        # Of several offers for one place the best is written last, and stays.
        rank = np.argsort(score, kind="stable")
        self.partner[across[rank], later[rank]] = earlier[rank]
        self.score[across[rank], later[rank]] = score[rank]


def _digest_pairs(rows: Any, order: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Pairs (later, earlier) of one digest, and their score, which is 1."""
    digests = rows["digest"][order]
    later, earlier = _grouped(np.lexsort((digests[:, 1], digests[:, 0])), digests)
    return order[later], order[earlier], np.ones(len(later))


def _candidates(band: Any, order: Numbers) -> tuple[Numbers, Numbers]:
    """Pairs (later, earlier) that agree in one band of the signature."""
    keys = np.ascontiguousarray(band[order]).view("<u8")
    later, earlier = _grouped(np.lexsort((keys[:, 1], keys[:, 0])), keys)
    return order[later], order[earlier]


def _grouped(ranked: Numbers, keys: Any) -> tuple[Numbers, Numbers]:
    """Within each run of equal keys: every member with the run's first, and with the one before it."""
    ordered = keys[ranked]
    same = np.concatenate([[False], (ordered[1:] == ordered[:-1]).all(1)])
    place = np.arange(len(ranked))
    first = np.maximum.accumulate(np.where(same, 0, place))
    later = place[same]
    return (
        np.concatenate([ranked[later], ranked[later]]),
        np.concatenate([ranked[first[later]], ranked[later - 1]]),
    )


def _merged(exact: _Best, near: _Best) -> Iterator[Pair]:
    for number in range(exact.partner.shape[1]):
        for across in (0, 1):
            if exact.partner[across, number] >= 0:
                yield Pair(number, int(exact.partner[across, number]), 1.0, True, bool(across))
            elif near.partner[across, number] >= 0:
                score = float(near.score[across, number])
                yield Pair(number, int(near.partner[across, number]), score, False, bool(across))
