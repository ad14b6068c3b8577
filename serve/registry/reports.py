"""What is known of versions from evaluations."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from data.report import Evidence
from serve.registry.database import Database
from serve.registry.index import live_version
from serve.registry.tables import ReportRow

MOST = 100
"""Reports kept of a version; the oldest go."""

SHOWN = 1000
"""Of all versions of an adapter together, when they are shown."""


@dataclass(frozen=True)
class Report:
    """A report's numbers, when they came, and by which key."""

    evidence: Evidence
    time: datetime
    by: str | None


class Reports:
    """The reports in a database. Each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, name: str, number: int, evidence: Evidence, by: str | None = None) -> Report:
        """Know a report on a version. One that found the same earlier is this one, as new as it now is."""
        now = datetime.now(UTC)
        with self._database.write(counts=False) as session:
            live_version(session, name, number)
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

    def of(self, name: str) -> dict[int, list[Report]]:
        """By the number of the version that they are on, the newest first."""
        found: dict[int, list[Report]] = defaultdict(list)
        with self._database.read() as session:
            for row in session.scalars(_newest(name).limit(SHOWN)):
                found[row.number].append(Report(Evidence.model_validate(row.evidence), row.time, row.by))
        return found


def on_suites(session: Session, name: str, number: int, suites: list[str]) -> list[Evidence]:
    """The reports on a version on any of these suites, the newest first."""
    rows = session.scalars(_newest(name).filter_by(number=number).where(ReportRow.suite.in_(suites)))
    return [Evidence.model_validate(row.evidence) for row in rows]


def _newest(name: str) -> Select[ReportRow]:
    """An adapter's reports, by when they were made, then by when they came."""
    order = (ReportRow.finished.desc(), ReportRow.time.desc(), ReportRow.report)
    return select(ReportRow).filter_by(adapter=name).order_by(*order)
