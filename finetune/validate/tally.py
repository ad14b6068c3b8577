"""What is counted of a source and found in it: small, additive, and cheap to send between processes."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Literal

from data.rules import SEVERITY as RULES
from data.rules import Severity

Category = Literal["none", "single", "parallel", "multi_turn"]

SEVERITY: dict[str, Severity] = {
    **RULES,
    "unreadable_source": "error",
    "empty_source": "error",
    "unreadable": "error",
    "not_renderable": "error",
    "limit": "error",
    "lora_targets": "error",
    "lora_rank": "warning",
    "too_long": "warning",
    "secret": "warning",
    "duplicate": "warning",
    "near_duplicate": "warning",
    "overlap": "warning",
    "near_overlap": "warning",
}
"""Every kind of finding. Errors fail a validation, warnings do with `--strict`, notes are only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is the place in the files, `path:line` first; `message` says what, and what to do."""

    kind: str
    where: str
    message: str

    @property
    def severity(self) -> Severity:
        return SEVERITY[self.kind]


@dataclass
class Tally:
    """Counts of a source, or of a part of it. Tokens are those of the rows that training keeps."""

    records: int = 0
    conversations: int = 0
    """Those of the records that could be read; a preference counts as the conversation it prefers."""
    held_out: int = 0
    """Those that the recipe's `data.heldout` takes out of what is trained on."""
    targets: int = 0
    """Answers to learn, or preferences."""
    rows: int = 0
    """What training keeps: samples or pairs, or without a base, records with something to learn."""
    cut: int = 0
    """Those of the rows that are longer than `data.max_length` and lose their end (`too_long: truncate`)."""
    tokens: int = 0
    learnt_tokens: int = 0
    with_tools: int = 0
    tools: set[str] = field(default_factory=set)
    categories: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """What training leaves out, by reason: rows that are too long, conversations that teach nothing."""
    found: Counter[str] = field(default_factory=Counter)
    """Findings by kind, notes among them."""

    def add(self, other: "Tally") -> None:
        """Count `other` in."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, int):
                setattr(self, each.name, mine + theirs)
            else:
                mine.update(theirs)

    @property
    def left_out(self) -> int:
        return self.dropped.total()

    @property
    def dropped_share(self) -> float:
        """Share of rows and unreadable or barren records that training leaves out; 0 of nothing."""
        offered = self.rows + self.left_out
        return self.left_out / offered if offered else 0.0
