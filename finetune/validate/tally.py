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
    "cut_off": "error",
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

_OF_RECORDS = ("unreadable", "not_renderable", *(kind for kind in RULES))
SKIPPING: dict[str, Severity] = SEVERITY | {
    kind: "warning" for kind in _OF_RECORDS if SEVERITY[kind] == "error"
}
"""The same where training skips bad records (`data.on_error: skip`)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is the place in the files, `path:line` first; `message` says what, and what to do."""

    kind: str
    where: str
    message: str


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
    cut: Counter[str] = field(default_factory=Counter)
    """Those of the rows that lost their end (`too_long: truncate`), and the answers lost with it."""
    longest: int = 0
    """Tokens of the longest row that was left out or cut."""
    tokens: int = 0
    learnt_tokens: int = 0
    with_tools: int = 0
    tools: set[str] = field(default_factory=set)
    categories: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """What training leaves out, by reason: rows that are too long, conversations that teach nothing."""
    found: Counter[str] = field(default_factory=Counter)
    """Findings by kind, notes among them."""
    unused: Counter[str] = field(default_factory=Counter)
    """In how many records a key said nothing, by its path without indices."""

    def add(self, other: "Tally") -> None:
        """Count `other` in."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, int):
                setattr(self, each.name, max(mine, theirs) if each.name == "longest" else mine + theirs)
            else:
                mine.update(theirs)
