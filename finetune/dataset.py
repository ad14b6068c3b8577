"""Conversations to rows of tokens, with a count of everything that was left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data import digest, rules
from data.chat import Conversation
from data.errors import UserError
from data.formats import scan
from data.manifest import DatasetEntry, HeldOutEntry, SourceEntry
from data.sources import Source, mixed
from data.splits import Split, keys_of
from finetune.render import Learn, Renderer, Sample


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of `data.sources.mixed`; `entry` is what the manifest says of them.

    `heldout` has the rows of the held-out side, each conversation once, in the order of the sources.
    """

    rows: list[Sample]
    entry: DatasetEntry
    heldout: list[Sample]


@dataclass(frozen=True)
class _Rendered:
    """One conversation: its group for the split, and its rows, or why there are none."""

    group: str
    rows: list[Sample]
    dropped: Counter[str]


def prepare(
    sources: Sequence[Source],
    renderer: Renderer,
    max_length: int,
    *,
    learn: Learn = "all",
    mix_seed: int = 0,
    heldout: float = 0.0,
    split_seed: int = 0,
) -> Dataset:
    """Render every conversation of `sources`, split, then mix; UserError when a side stays empty."""
    split = Split(heldout, split_seed)
    everything = [
        [
            _render(
                where,
                conversation,
                renderer,
                max_length,
                learn,
                split.add(keys_of(conversation)) if heldout else "",
            )
            for where, conversation in _sound(source)
        ]
        for source in sources
    ]
    kept = [[one for one in part if not (heldout and split.held_out(one.group))] for part in everything]
    aside = [one for part in everything for one in part if heldout and split.held_out(one.group)]
    order = mixed(sources, [len(part) for part in kept], mix_seed)
    rows = [row for source, index in order for row in kept[source][index].rows]
    dropped = sum((one.dropped for part in kept for one in part), Counter[str]())
    if not rows:
        raise _nothing(sources, dropped, len(aside))
    if heldout and not aside:
        count = len({one.group for part in kept for one in part})
        raise UserError(
            f"data.heldout is {heldout:g}, but of {count} groups of conversations none fell to the held-out"
            " side; raise it, set it to 0, or add data."
        )
    used = Counter(source for source, _ in order)
    entry = DatasetEntry(
        digest=digest.of_json([[row.input_ids, row.completion_mask] for row in rows]),
        sources=[
            SourceEntry(
                path=source.path,
                weight=source.weight,
                format=source.format,
                read=len(everything[number]),
                held_out=len(everything[number]) - len(kept[number]),
                used=used[number],
            )
            for number, source in enumerate(sources)
        ],
        mix_seed=mix_seed,
        heldout=HeldOutEntry(
            share=heldout,
            seed=split_seed,
            groups=len({one.group for one in aside}),
            conversations=len(aside),
        )
        if heldout
        else None,
        conversations=sum(map(len, kept)),
        targets=sum(_spans(row.completion_mask) for row in rows),
        tokens=sum(len(row.input_ids) for row in rows),
        learnt_tokens=sum(sum(row.completion_mask) for row in rows),
        dropped=dict(dropped),
    )
    return Dataset(rows, entry, [row for one in aside for row in one.rows])


def _sound(source: Source) -> Iterator[tuple[str, Conversation]]:
    """Conversations with their places; UserError at the first that cannot be read or breaks a rule."""
    for record in scan(source.path, source.format):
        conversation = record.taken()
        for problem in rules.problems(conversation):
            if rules.SEVERITY[problem.kind] == "error":
                raise UserError(f"{record.where}: {problem.where}: {problem.message}")
        yield record.where, conversation


def _render(
    where: str, conversation: Conversation, renderer: Renderer, max_length: int, learn: Learn, group: str
) -> _Rendered:
    try:
        samples = renderer.samples(conversation, learn)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    rows = [sample for sample in samples if len(sample.input_ids) <= max_length]
    dropped: Counter[str] = Counter()
    if not samples:
        dropped["no assistant message to learn"] = 1
    elif len(rows) < len(samples):
        dropped[f"longer than {max_length} tokens"] = len(samples) - len(rows)
    return _Rendered(group, rows, dropped)


def _nothing(sources: Sequence[Source], dropped: Counter[str], aside: int) -> UserError:
    counts = [f"{count} {reason}" for reason, count in dropped.items()]
    counts += [f"{aside} held out"] if aside else []
    reasons = ", ".join(counts) or "the files are empty"
    return UserError(
        f"nothing to learn in {', '.join(source.path for source in sources)}: {reasons};"
        " raise data.max_length or add conversations with assistant messages."
    )


def _spans(mask: list[int]) -> int:
    """Number of runs of ones."""
    return sum(1 for before, now in zip([0, *mask], mask, strict=False) if now and not before)
