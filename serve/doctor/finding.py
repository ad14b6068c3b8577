"""One thing that was looked at, in one line."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and not as well or as safely as it could."""
    PROBLEM = "problem"
    """`serve up`, or what it is for, fails."""


@dataclass(frozen=True)
class Finding:
    """`about` names what was looked at; `said` is one sentence, with what to do where there is something."""

    about: str
    level: Level
    said: str

    def plain(self) -> dict[str, str]:
        return asdict(self)


def ok(about: str, said: str) -> Finding:
    return Finding(about, Level.OK, said)


def warning(about: str, said: str) -> Finding:
    return Finding(about, Level.WARNING, said)


def problem(about: str, said: str) -> Finding:
    return Finding(about, Level.PROBLEM, said)
