"""What is known of versions from evaluations."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from data.report import Difference, Evidence
from serve.registry.database import Database
from serve.registry.index import live_version
from serve.registry.tables import ReportRow

MOST = 100
"""Reports kept of a version; the oldest go."""

SHOWN = 20
"""Of all versions of an adapter together, when they are shown."""

COMPARISONS = 32
"""Of one report, when it is shown."""


@dataclass(frozen=True)
class Report:
    """A report's numbers, when they came, and by which key."""

    evidence: Evidence
    time: datetime
    by: str | None


@dataclass(frozen=True)
class Brief:
    """What is shown of a report: its first comparisons, and how many `more` it has."""

    report: str
    suite: str
    suite_digest: str
    differences: list[Difference]
    more: int
    time: datetime
    by: str | None


class Reports:
    """The reports in a database. Each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, name: str, number: int, evidence: Evidence, by: str | None = None) -> Report:
        """Know a report on a version. One that found the same is this one: as new as it now is where it was
        made again since, and where it stood when it is only sent again."""
        now = datetime.now(UTC)
        with self._database.write(counts=False) as session:
            live_version(session, name, number)
            known = session.get(ReportRow, (name, number, evidence.report))
            if known and known.finished >= evidence.finished:
                return Report(Evidence.model_validate(known.evidence), known.time, known.by)
            session.merge(
                ReportRow(
                    adapter=name,
                    number=number,
                    report=evidence.report,
                    suite=evidence.suite,
                    finished=evidence.finished,
                    evidence=evidence.model_dump(mode="json"),
                    by=by,
                    time=now,
                )
            )
            session.flush()
            old = list(session.scalars(_newest(name).filter_by(number=number).offset(MOST)))
            for row in old:
                session.execute(delete(ReportRow).filter_by(adapter=name, number=number, report=row.report))
        return Report(evidence, now, by)

    def of(self, name: str) -> dict[int, list[Brief]]:
        """The newest ones, by the number of the version that they are on, the newest first."""
        found: dict[int, list[Brief]] = defaultdict(list)
        with self._database.read() as session:
            for row in session.scalars(_newest(name).limit(SHOWN)):
                found[row.number].append(_brief(row.evidence, row.time, row.by))
        return found


def brief(report: Report) -> Brief:
    return _brief(report.evidence.model_dump(mode="json"), report.time, report.by)


def _brief(evidence: dict[str, Any], time: datetime, by: str | None) -> Brief:
    """Only what is shown is read: a report may hold thousands of comparisons."""
    differences = evidence["differences"]
    return Brief(
        report=evidence["report"],
        suite=evidence["suite"],
        suite_digest=evidence["suite_digest"],
        differences=[Difference.model_validate(one) for one in differences[:COMPARISONS]],
        more=max(0, len(differences) - COMPARISONS),
        time=time,
        by=by,
    )


def on_suites(session: Session, name: str, number: int, suites: list[str]) -> list[Evidence]:
    """The reports on a version on any of these suites, the newest first."""
    rows = session.scalars(_newest(name).filter_by(number=number).where(ReportRow.suite.in_(suites)))
    return [Evidence.model_validate(row.evidence) for row in rows]


def _newest(name: str) -> Select[ReportRow]:
    """An adapter's reports, by when they came: when they were made is what their senders say."""
    order = (ReportRow.time.desc(), ReportRow.finished.desc(), ReportRow.report)
    return select(ReportRow).filter_by(adapter=name).order_by(*order)
