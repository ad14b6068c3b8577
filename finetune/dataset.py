"""Conversations to rows of tokens, with a count of everything that was left out."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data import digest
from data.errors import UserError
from data.formats import read
from data.manifest import DatasetEntry
from finetune.render import Learn, Renderer, Sample


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of the files; `entry` is what the manifest says of them."""

    rows: list[Sample]
    entry: DatasetEntry


def prepare(files: list[Path], renderer: Renderer, max_length: int, learn: Learn = "all") -> Dataset:
    """Render every conversation of `files`; UserError when nothing is left to learn from."""
    rows: list[Sample] = []
    dropped: Counter[str] = Counter()
    conversations = 0
    for path in files:
        for conversation in read(path):
            conversations += 1
            samples = renderer.samples(conversation, learn)
            if not samples:
                dropped["no assistant message to learn"] += 1
            for sample in samples:
                if len(sample.input_ids) > max_length:
                    dropped[f"longer than {max_length} tokens"] += 1
                else:
                    rows.append(sample)
    if not rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "the files are empty"
        raise UserError(
            f"nothing to learn in {', '.join(map(str, files))}: {reasons}; raise data.max_length or add"
            " conversations with assistant messages."
        )
    entry = DatasetEntry(
        digest=digest.of_json([[row.input_ids, row.completion_mask] for row in rows]),
        sources=[str(path) for path in files],
        conversations=conversations,
        targets=sum(_spans(row.completion_mask) for row in rows),
        tokens=sum(len(row.input_ids) for row in rows),
        learnt_tokens=sum(sum(row.completion_mask) for row in rows),
        dropped=dict(dropped),
    )
    return Dataset(rows, entry)


def _spans(mask: list[int]) -> int:
    """Number of runs of ones."""
    return sum(1 for before, now in zip([0, *mask], mask, strict=False) if now and not before)
