"""What passes from files to importers, and from importers to everyone else."""

from dataclasses import dataclass
from typing import Any

from data.chat import Conversation
from data.errors import UserError


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as its container holds it: any JSON value, or the reason why there is none.

    A line of a file is left as `line`, for `text.parsed` to read where there is time for it.
    """

    where: str
    value: Any = None
    problem: str | None = None
    line: bytes | None = None
    ends: bool = False
    """Whether nothing behind it can be read: the rest of its file is lost, not one record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation of a source, or the reason and the next step where it could not be read.

    `where` is `path:line` (JSONL), `path:line (record n)` (JSON array), `path (row n)` (Parquet) or
    `hf:name (row n)`.
    """

    where: str
    conversation: Conversation | None
    problem: str | None
    unused: tuple[str, ...] = ()
    """Paths of the record's keys that said nothing, such as `messages[].name`, in alphabetical order."""
    ends: bool = False
    """Whether the rest of its file cannot be read either."""

    def taken(self) -> Conversation:
        """The conversation; UserError with place, reason and next step where there is none."""
        if self.conversation is None:
            raise UserError(f"{self.where}: {self.problem}")
        return self.conversation
