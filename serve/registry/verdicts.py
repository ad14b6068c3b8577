"""What came of an adapter's parity probes, by its bytes and by the engine that answered them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from serve.registry.database import Database
from serve.registry.tables import VerdictRow


@dataclass(frozen=True)
class Verdict:
    """`why` an adapter is not served, None where it is; `found` are the measurements, for people."""

    engine: str
    why: str | None
    found: dict[str, Any]


class Verdicts:
    """The verdicts in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, digest: str, engine: str) -> Verdict | None:
        with self._database.read() as session:
            row = session.get(VerdictRow, (digest, engine))
            return _verdict(row) if row else None

    def of(self, digest: str) -> list[Verdict]:
        """By every engine that answered, the newest first."""
        query = select(VerdictRow).where(VerdictRow.digest == digest).order_by(VerdictRow.time.desc())
        with self._database.read() as session:
            return [_verdict(row) for row in session.scalars(query)]

    def keep(self, digest: str, verdict: Verdict) -> None:
        now = datetime.now(UTC)
        with self._database.write(counts=False) as session:
            session.merge(
                VerdictRow(
                    digest=digest, engine=verdict.engine, why=verdict.why, found=verdict.found, time=now
                )
            )


def _verdict(row: VerdictRow) -> Verdict:
    return Verdict(row.engine, row.why, row.found)
