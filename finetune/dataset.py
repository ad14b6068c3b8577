"""Conversations to rows of tokens, with a count of everything that was left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from data import digest, rules
from data.chat import Conversation
from data.errors import UserError
from data.formats import scan
from data.manifest import DatasetEntry
from data.sources import Source
from data.splits import Split, keys_of
from finetune.mixture import Rendered, mixture
from finetune.render import Learn, Renderer, Sample

TooLong = Literal["drop", "truncate"]
"""What happens to a row of more than `max_length` tokens: left out, or cut at its end."""


@dataclass(frozen=True)
class Row(Sample):
    """A sample, and the place of its conversation for a person to find."""

    where: str


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of `data.sources.mixed`; `entry` is what the manifest says of them.

    `heldout` has the rows of the held-out side, each conversation once, in the order of the sources.
    """

    rows: list[Row]
    entry: DatasetEntry
    heldout: list[Row]


def prepare(
    sources: Sequence[Source],
    renderer: Renderer,
    max_length: int,
    *,
    learn: Learn = "all",
    too_long: TooLong = "drop",
    mix_seed: int = 0,
    heldout: float = 0.0,
    split_seed: int = 0,
) -> Dataset:
    """Render every conversation of `sources`, split, then mix; UserError when a side stays empty."""
    split = Split(heldout, split_seed) if heldout else None
    parts = [
        [
            _render(
                where,
                conversation,
                renderer,
                max_length,
                learn,
                too_long,
                split.add(keys_of(conversation)) if split else "",
            )
            for where, conversation in _sound(source)
        ]
        for source in sources
    ]
    missing = "conversations with assistant messages"
    made = mixture(sources, parts, split, mix_seed, kind="conversations", missing=missing)
    entry = made.entry(
        digest=digest.of_json([[row.input_ids, row.completion_mask] for row in made.rows]),
        targets=sum(_spans(row.completion_mask) for row in made.rows),
        tokens=sum(len(row.input_ids) for row in made.rows),
        learnt_tokens=sum(sum(row.completion_mask) for row in made.rows),
    )
    return Dataset(made.rows, entry, made.heldout)


def _sound(source: Source) -> Iterator[tuple[str, Conversation]]:
    """Conversations with their places; UserError at the first that cannot be read or breaks a rule."""
    for record in scan(source.path, source.format):
        conversation = record.taken()
        for problem in rules.problems(conversation):
            if rules.SEVERITY[problem.kind] == "error":
                raise UserError(f"{record.where}: {problem.where}: {problem.message}")
        yield record.where, conversation


def _render(
    where: str,
    conversation: Conversation,
    renderer: Renderer,
    max_length: int,
    learn: Learn,
    too_long: TooLong,
    group: str,
) -> Rendered[Row]:
    try:
        samples = renderer.samples(conversation, learn)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    counted: Counter[str] = Counter()
    rows = []
    for sample in samples:
        ids, mask = sample.input_ids, sample.completion_mask
        if len(ids) <= max_length:
            rows.append(Row(ids, mask, where))
        elif too_long == "truncate" and any(mask[:max_length]):
            counted[f"cut to {max_length} tokens"] += 1
            rows.append(Row(ids[:max_length], mask[:max_length], where))
        else:
            counted[f"longer than {max_length} tokens"] += 1
    if not samples:
        counted["no assistant message to learn"] = 1
    return Rendered(group, rows, counted)


def _spans(mask: list[int]) -> int:
    """Number of runs of ones."""
    return sum(1 for before, now in zip([0, *mask], mask, strict=False) if now and not before)
