"""A recipe's records on their way into training: sound ones pass, bad ones stop it or are skipped."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from data import rules
from data.errors import UserError
from data.formats.marks import SKIP
from data.rules import Problem

OnError = Literal["stop", "skip"]

UNREADABLE, UNSOUND, UNRENDERABLE = "cannot be read", "breaks a rule", "cannot be rendered"
"""Reasons for which a record is left out, as a manifest counts them."""

BAD = frozenset((UNREADABLE, UNSOUND, UNRENDERABLE))

SKIPPED = "skipped.jsonl"
"""In the folder of a run: where each skipped record stands, and what is wrong with it."""

_ADVICE = re.compile(rf"(;|,? or) {re.escape(SKIP)}")
"""A next step that was taken already."""

Value = TypeVar("Value", covariant=True)


class Read(Protocol[Value]):
    """A record of `data.formats`."""

    @property
    def where(self) -> str: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def unused(self) -> tuple[str, ...]: ...
    @property
    def ends(self) -> bool: ...
    def taken(self) -> Value: ...


@dataclass(frozen=True)
class Skipped:
    """`problem` says what is wrong with the record at `where`, and the next step."""

    where: str
    reason: str
    problem: str


Sound = TypeVar("Sound")


@dataclass
class Intake:
    """What was read, what of it is bad, and which keys said nothing.

    With `on_error` "stop" no record passes behind a bad one, but all are read: `finish` then says how many
    are bad. With "skip" they are left out, and `skipped` has them. A file that ends before its end is never
    skipped: nobody knows what it lacks.
    """

    on_error: OnError = "stop"
    records: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    """In how many records a key, by its path without indices, said nothing."""

    def sound(
        self, records: Iterable[Read[Sound]], problems: Callable[[Sound], list[Problem]]
    ) -> Iterator[tuple[str, Sound]]:
        """The records that can be read and break no rule, with their places."""
        for record in records:
            self.records += 1
            self.unused.update(record.unused)
            if record.problem is not None and record.ends:
                raise UserError(f"{record.where}: {record.problem}")
            if record.problem is not None:
                self.refuse(record.where, UNREADABLE, record.problem)
                continue
            value = record.taken()
            if (broken := first_error(problems(value))) is not None:
                self.refuse(record.where, UNSOUND, f"{broken.where}: {broken.message}")
            elif self.on_error == "skip" or not self.skipped:
                yield record.where, value

    def refuse(self, where: str, reason: str, problem: str) -> None:
        """Count a bad record, which is no part of what is learned."""
        if self.on_error == "skip":
            problem = _ADVICE.sub("", problem)
        self.skipped.append(Skipped(where, reason, problem))

    def finish(self) -> None:
        """UserError with the first bad record and the number of others, where they were not to be skipped."""
        if self.on_error == "skip" or not self.skipped:
            return
        first, others = self.skipped[0], len(self.skipped) - 1
        said = [f"{first.where}: {first.problem}"]
        if others:
            said.append(
                f"{others:,} more of {self.records:,} records cannot be learned either; `finetune validate`"
                " names every one."
            )
        if SKIP not in first.problem:
            said.append("`data.on_error: skip` leaves such records out.")
        raise UserError(" ".join(said))

    @property
    def dropped(self) -> Counter[str]:
        """How many records were skipped, by reason."""
        return Counter(one.reason for one in self.skipped)

    def write(self, folder: Path) -> None:
        """Leave `skipped.jsonl` in `folder` where there is anything to say."""
        if self.skipped:
            lines = (json.dumps(asdict(one), ensure_ascii=True) + "\n" for one in self.skipped)
            (folder / SKIPPED).write_text("".join(lines), encoding="utf-8")


def first_error(problems: Iterable[Problem]) -> Problem | None:
    """The first problem for which a record cannot be learned."""
    return next((one for one in problems if rules.SEVERITY[one.kind] == "error"), None)
