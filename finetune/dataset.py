"""Conversations to rows of tokens, with a count of everything that was left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from data import digest, rules
from data.errors import UserError
from data.formats import scan
from data.manifest import DatasetEntry
from data.sources import Source
from data.splits import Split, keys_of
from finetune.intake import UNRENDERABLE, Intake
from finetune.kinds import check
from finetune.mixture import Rendered, mixture
from finetune.render import Learn, Renderer, Sample
from finetune.too_long import LOST, TooLong, answers, fitted, longer, shortened


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
    intake: Intake = field(default_factory=Intake)


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
    ignore: frozenset[str] = frozenset(),
    intake: Intake | None = None,
    most_dropped: float = 1.0,
) -> Dataset:
    """Render every conversation of `sources`, split, then mix.

    Keys in `ignore` are passed over, and `intake` says what becomes of bad records. UserError when a side
    stays empty, and when more than the share `most_dropped` of what could be learned is left out.
    """
    split = Split(heldout, split_seed) if heldout else None
    intake = intake or Intake()

    def rendered(source: Source) -> list[Rendered[Row]]:
        check(source, "conversation", ignore)
        found = []
        records = scan(source.at, source.format, ignore=ignore)
        for where, conversation in intake.sound(records, rules.problems):
            try:
                samples = renderer.samples(conversation, learn)
            except UserError as error:
                intake.refuse(where, UNRENDERABLE, str(error))
                continue
            group = split.add(keys_of(conversation)) if split else ""
            found.append(_rows(where, samples, max_length, too_long, group))
        return found

    parts = [rendered(source) for source in sources]
    intake.finish()
    made = mixture(
        sources, parts, split, mix_seed, kind="conversations", intake=intake, most_dropped=most_dropped
    )
    entry = made.entry(
        digest=digest.of_json([[row.input_ids, row.completion_mask] for row in made.rows]),
        targets=sum(len(answers(row)) for row in made.rows),
        tokens=sum(len(row.input_ids) for row in made.rows),
        learnt_tokens=sum(sum(row.completion_mask) for row in made.rows),
    )
    return Dataset(made.rows, entry, made.heldout, intake)


def _rows(
    where: str, samples: Sequence[Sample], max_length: int, too_long: TooLong, group: str
) -> Rendered[Row]:
    """The rows of one conversation within `max_length`."""
    counted: Counter[str] = Counter()
    rows, longest = [], 0
    for sample in samples:
        kept = fitted(sample, max_length, too_long)
        if kept is not sample:
            longest = max(longest, len(sample.input_ids))
        if kept is None:
            counted[longer(max_length)] += 1
            continue
        if kept is not sample:
            counted[shortened(max_length)] += 1
            counted[LOST] += len(answers(sample)) - len(answers(kept))
        rows.append(Row(kept.input_ids, kept.completion_mask, where))
    if not samples:
        counted["no assistant message to learn"] = 1
    return Rendered(group, rows, counted, longest)
