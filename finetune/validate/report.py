"""What a validation leaves: counts by source, and every finding, in memory as many as are shown."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from finetune.kinds import Kind
from finetune.validate.tally import SEVERITY, Finding, Tally

SHOWN = 10
"""Findings of a kind that are printed; `--json` has them all."""


class Findings:
    """Findings in the order of finding: all on disk, and the first `SHOWN` of each kind at hand."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", prefix="enxerto-findings-")  # noqa: SIM115
        self.first: dict[str, list[Finding]] = {}
        self.counts: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] += 1
        first = self.first.setdefault(finding.kind, [])
        if len(first) < SHOWN:
            first.append(finding)
        row = {"severity": finding.severity, **asdict(finding)}
        # ASCII: a file may hold half a surrogate pair, which UTF-8 cannot.
        self._file.write(json.dumps(row) + "\n")

    def of(self, severity: str) -> int:
        """How many findings there are of one severity."""
        return sum(count for kind, count in self.counts.items() if SEVERITY[kind] == severity)

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
