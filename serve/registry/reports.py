"""What is known of adapters from evaluations, by their bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from data.report import Evidence
from serve.registry.database import Database
from serve.registry.tables import ReportRow


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

    def keep(self, digest: str, evidence: Evidence, by: str | None = None) -> None:
        """Know a report on these bytes; the same again changes nothing."""
        with self._database.write(counts=False) as session:
            if session.get(ReportRow, (digest, evidence.report)) is None:
                found = evidence.model_dump(mode="json")
                row = ReportRow(digest=digest, report=evidence.report, evidence=found, by=by)
                row.time = datetime.now(UTC)
                session.add(row)

    def of(self, *digests: str) -> dict[str, list[Report]]:
        """By the bytes that they are on, the newest first."""
        found: dict[str, list[Report]] = {digest: [] for digest in digests}
        with self._database.read() as session:
            for row in rows(session, digests):
                evidence = Evidence.model_validate(row.evidence)
                found[row.digest].append(Report(evidence, row.time, row.by))
        return found


def rows(session: Session, digests: Sequence[str]) -> list[ReportRow]:
    """The reports on any of these bytes, the newest first."""
    query = select(ReportRow).where(ReportRow.digest.in_(digests))
    return list(session.scalars(query.order_by(ReportRow.time.desc(), ReportRow.report)))
