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

Row = TypeVar("Row")


@dataclass(frozen=True)
class Rendered(Generic[Row]):
    """One record of a source: its group for the split, and its rows, or why there are none."""

    group: str
    rows: list[Row]
    dropped: Counter[str]


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
    missing: str,
) -> Mixture[Row]:
    """Divide the records of each source by `split` (None holds nothing out), then mix by weight.

    `kind` is what the records are called, and `missing` what to add where none is left: UserError then, and
    where the held-out side stays empty.
    """
    kept = [[one for one in part if not (split and split.held_out(one.group))] for part in parts]
    aside = [one for part in parts for one in part if split and split.held_out(one.group)]
    order = mixed(sources, [len(part) for part in kept], mix_seed)
    rows = [row for source, index in order for row in kept[source][index].rows]
    dropped = sum((one.dropped for part in kept for one in part), Counter[str]())
    if not rows:
        raise _nothing(sources, dropped, len(aside), missing)
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
        dropped=dict(dropped),
    )
    return Mixture(rows, [row for one in aside for row in one.rows], counted)


def _nothing(sources: Sequence[Source], dropped: Counter[str], aside: int, missing: str) -> UserError:
    counts = [f"{count} {reason}" for reason, count in dropped.items()]
    counts += [f"{aside} held out"] if aside else []
    reasons = ", ".join(counts) or "the files are empty"
    return UserError(
        f"nothing to learn in {', '.join(source.path for source in sources)}: {reasons};"
        f" raise data.max_length or add {missing}."
    )
