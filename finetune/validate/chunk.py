"""What goes into an examination and comes out of it, cheap to send between processes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from data.formats import Raw
from data.splits import Keys
from finetune.intake import UNREADABLE, UNRENDERABLE
from finetune.kinds import Kind
from finetune.render import Learn
from finetune.too_long import TooLong, longer
from finetune.validate.tally import SEVERITY, Finding, Tally

Made = TypeVar("Made")


@dataclass
class Chunk:
    """Records of one source, as their file holds them: importing them is work for many processes too."""

    records: list[Raw]
    format: str | None
    kind: Kind


@dataclass(frozen=True)
class Settings:
    """What training would do: `base` is the folder whose renderer counts tokens; None leaves them out."""

    base: Path | None
    max_length: int | None = None
    too_long: TooLong = "drop"
    learn: Learn = "all"
    split: bool = False
    """Whether training will hold out a part of what it reads."""
    ignore: frozenset[str] = frozenset()
    skip: bool = False
    """Whether training leaves bad records out, rather than stopping at the first."""


@dataclass
class Examined:
    """Of a chunk: counts, findings, and the places and fingerprints of what could be read in it."""

    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    fingerprints: bytes = b""
    """One behind the other, in the order of `places`; of a preference with both answers."""
    answered: bytes = b""
    """Of preferences also with the chosen answer alone, as a conversation says it."""
    keys: list[Keys] = field(default_factory=list)
    """For the split, in the order of `places`; none where nothing is split."""

    def note(self, kind: str, where: str, message: str) -> None:
        """Count a finding; what costs nothing is counted only."""
        self.tally.found[kind] += 1
        if SEVERITY[kind] != "note":
            self.findings.append(Finding(kind, where, message))

    def unreadable(self, where: str, problem: str | None, ends: bool) -> None:
        """A record could not be read, or with `ends` nothing from it on."""
        self.tally.dropped[UNREADABLE] += 1
        kind = "cut_off" if ends else "unreadable"
        self.note(kind, where, problem or "it cannot be read; mend it.")

    def rendered(self, make: Callable[[], Made], where: str) -> Made | None:
        """What `make` renders; None, and a finding, where the base cannot."""
        try:
            return make()
        except Exception as error:  # a base's template may raise anything; training would stop here
            reason = " ".join(str(error).split())[:200].removesuffix(".") or type(error).__name__
            self.note("not_renderable", where, f"the base cannot render it ({reason}); mend or delete it.")
            self.tally.dropped[UNRENDERABLE] += 1
            return None

    def too_long(self, length: int, limit: int, where: str) -> None:
        """A row of `length` tokens, over the `limit`, is left out of training."""
        self.tally.dropped[longer(limit)] += 1
        self.tally.longest = max(self.tally.longest, length)
        advice = f"shorten it, or set data.max_length to {length} or more."
        self.note("too_long", where, f"{length} tokens are left out of training; {advice}")
