"""What was rendered, divided and mixed: the training rows in their order, the held-out rows, and the counts.

The same for conversations and for preferences, whatever their rows are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from data.errors import UserError
from data.manifest import DatasetEntry, HeldOutEntry, SourceEntry
from data.sources import Source, mixed
from data.splits import Split
from finetune.intake import Intake
from finetune.left_out import advice, over, share
from finetune.too_long import cuts

Row = TypeVar("Row")

_UNUSED = 64
"""Paths of keys that said nothing which a manifest lists, the most frequent ones."""


@dataclass(frozen=True)
class Rendered(Generic[Row]):
    """One record of a source: its group for the split, and its rows, or why there are none.

    `longest` is the length of the longest row that was cut or left out.
    """

    group: str
    rows: list[Row]
    dropped: Counter[str]
    longest: int = 0


@dataclass(frozen=True)
class Mixture(Generic[Row]):
    """`rows` in the order of `data.sources.mixed`; `heldout` each once, in the order of the sources."""

    rows: list[Row]
    heldout: list[Row]
    counted: DatasetEntry

    def entry(self, *, digest: str, targets: int, tokens: int, learnt_tokens: int) -> DatasetEntry:
        """The manifest's entry, with what only the rows' own kind can count."""
        return self.counted.model_copy(
            update={"digest": digest, "targets": targets, "tokens": tokens, "learnt_tokens": learnt_tokens}
        )


def mixture(
    sources: Sequence[Source],
    parts: Sequence[Sequence[Rendered[Row]]],
    split: Split | None,
    mix_seed: int,
    *,
    kind: str,
    intake: Intake,
    most_dropped: float = 1.0,
) -> Mixture[Row]:
    """Divide the records of each source by `split` (None holds nothing out), then mix by weight.

    `kind` is what the records are called, and `intake` knows those that were skipped. UserError where
    nothing is left to learn, where the held-out side stays empty, and where more than `most_dropped`
    is left out.
    """
    kept = [[one for one in part if not (split and split.held_out(one.group))] for part in parts]
    aside = [one for part in parts for one in part if split and split.held_out(one.group)]
    every = [one for part in parts for one in part]
    dropped = sum((one.dropped for one in every), intake.dropped)
    _enough(sources, every, dropped, intake, most_dropped)
    order = mixed(sources, [len(part) for part in kept], mix_seed)
    rows = [row for source, index in order for row in kept[source][index].rows]
    if not rows:
        raise UserError(
            f"nothing to learn in {_names(sources)}: all that could be learned is held out; lower"
            f" data.heldout, or add {kind}."
        )
    if split and not aside:
        count = len({one.group for part in kept for one in part})
        raise UserError(
            f"data.heldout is {split.share:g}, but of {count} groups of {kind} none fell to the held-out"
            " side; raise it, set it to 0, or add data."
        )
    used = Counter(source for source, _ in order)
    counted = DatasetEntry(
        digest="",
        sources=[
            SourceEntry(
                path=source.path,
                weight=source.weight,
                format=source.format,
                read=len(parts[number]),
                held_out=len(parts[number]) - len(kept[number]),
                used=used[number],
            )
            for number, source in enumerate(sources)
        ],
        mix_seed=mix_seed,
        heldout=HeldOutEntry(
            share=split.share,
            seed=split.seed,
            groups=len({one.group for one in aside}),
            conversations=len(aside),
        )
        if split
        else None,
        conversations=sum(map(len, kept)),
        targets=0,
        tokens=0,
        learnt_tokens=0,
        dropped=dict(sum((one.dropped for part in kept for one in part), intake.dropped)),
        unused=dict(intake.unused.most_common(_UNUSED)),
    )
    return Mixture(rows, [row for one in aside for row in one.rows], counted)


def _enough(
    sources: Sequence[Source],
    every: Sequence[Rendered[Row]],
    dropped: Counter[str],
    intake: Intake,
    most_dropped: float,
) -> None:
    """UserError where nothing is learned, or too little of what could be."""
    rows = sum(len(one.rows) for one in every)
    longest = max((one.longest for one in every), default=0)
    if not rows:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if not cuts(reason))
        first = (
            f" (the first is {intake.skipped[0].where}: {intake.skipped[0].problem})"
            if intake.skipped
            else ""
        )
        raise UserError(
            f"nothing to learn in {_names(sources)}: {reasons or 'the files are empty'}{first};"
            f" {advice(dropped, longest)}."
        )
    if share(dropped, rows) > most_dropped:
        raise UserError(over(dropped, rows, most_dropped, longest))


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(source.path for source in sources)
