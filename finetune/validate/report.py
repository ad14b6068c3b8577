"""What a validation leaves: counts by source, and every finding, in memory as many as are shown."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from data.rules import Severity
from data.sources import Source as Given
from finetune.kinds import Kind
from finetune.validate.tally import SEVERITY, Finding, Tally

ALIKE = 10
"""Sorts of findings of one kind that are printed; `--json` has them all."""
PLACES = 4
"""Places of a sort that are printed."""
_SORTS = 1000
"""Sorts of one kind that are told apart; data may hold anything."""

_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")
"""What differs between two messages that say the same: values in quotes, numbers, places."""
_COMPARED = 300
"""Characters of a message."""


@dataclass
class Alike:
    """Findings that say the same of different places, by the first of them."""

    first: Finding
    count: int = 0
    places: list[str] = field(default_factory=list)


class Findings:
    """Findings in the order of finding: all on disk, and at hand how many are alike and where."""

    def __init__(self, severity: Mapping[str, Severity] = SEVERITY) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", prefix="enxerto-findings-")  # noqa: SIM115
        self.severity = severity
        self.alike: dict[str, dict[str, Alike]] = {}
        """By kind, and by what the message says."""
        self.counts: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] += 1
        sorts = self.alike.setdefault(finding.kind, {})
        said = _VARIES.sub("…", finding.message[:_COMPARED]) if len(sorts) < _SORTS else ""
        alike = sorts.setdefault(said, Alike(finding))
        alike.count += 1
        if len(alike.places) < PLACES:
            alike.places.append(finding.where)
        row = {"severity": self.severity[finding.kind], **asdict(finding)}
        # ASCII: a file may hold half a surrogate pair, which UTF-8 cannot.
        self._file.write(json.dumps(row) + "\n")

    def sorts(self, kind: str) -> list[Alike]:
        """The findings of a kind, those that say the same together, the most frequent first."""
        return sorted(self.alike[kind].values(), key=lambda one: -one.count)

    def of(self, severity: str) -> int:
        """How many findings there are of one severity."""
        return sum(count for kind, count in self.counts.items() if self.severity[kind] == severity)

    def lines(self) -> Iterable[str]:
        """Each finding as a line of JSON, one at a time."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()


@dataclass
class Source:
    """One source and its counts."""

    name: str
    heldout: bool
    format: str | None = None
    """The importer's name; None where each record's own shape tells it."""
    kind: Kind = "conversation"
    tally: Tally = field(default_factory=Tally)
    given: Given | None = None
    """As the recipe has it; None for one that was named on the command line or is held out."""

    @property
    def at(self) -> str:
        """Where its records are read from."""
        return self.given.at if self.given else self.name


@dataclass
class Report:
    """The whole of a validation. `base` is None when tokens were not counted, and `why` then says why."""

    sources: list[Source]
    findings: Findings
    base: str | None
    why: str | None
    max_length: int | None
    limits: dict[str, float]
    seconds: float = 0.0

    def total(self, heldout: bool) -> Tally:
        """The counts of all sources that are held out, or of all that are not."""
        sum_ = Tally()
        for source in self.sources:
            if source.heldout == heldout:
                sum_.add(source.tally)
        return sum_

    @property
    def what(self) -> str:
        """What the sources hold, in plural."""
        return " and ".join(f"{kind}s" for kind in sorted({source.kind for source in self.sources}))

    def failed(self, strict: bool) -> bool:
        """Errors fail; with `strict` warnings do too."""
        return bool(self.findings.of("error") or (strict and self.findings.of("warning")))


def write(report: Report, path: Path) -> None:
    """The report as JSON, whole or not at all; findings are copied from disk one by one."""
    head = {
        "schema_version": 1,
        "base": report.base,
        "tokens_left_out_because": report.why,
        "max_length": report.max_length,
        "limits": report.limits,
        "errors": report.findings.of("error"),
        "warnings": report.findings.of("warning"),
        "found": dict(report.findings.counts),
        "reasons": [
            {"kind": kind, "count": one.count, "first": one.first.where, "message": one.first.message}
            for kind in report.findings.counts
            for one in report.findings.sorts(kind)
        ],
        "sources": [_source(source, counted=report.base is not None) for source in report.sources],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=2, ensure_ascii=False)[:-2] + ',\n  "findings": [')
        for number, line in enumerate(report.findings.lines()):
            file.write((",\n    " if number else "\n    ") + line.rstrip("\n"))
        file.write("\n  ]\n}\n")
    part.replace(path)


def _source(source: Source, counted: bool) -> dict[str, Any]:
    row = {each.name: getattr(source.tally, each.name) for each in fields(Tally)}
    row["tools"] = len(source.tally.tools)
    if not counted:
        row["tokens"] = row["learnt_tokens"] = None
    return {"name": source.name, "kind": source.kind, "heldout": source.heldout, **row}
