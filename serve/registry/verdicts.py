"""What came of an adapter's parity probes, by its bytes and by the engine that answered them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serve.registry.database import Database
from serve.registry.tables import VerdictRow


@dataclass(frozen=True)
class Verdict:
    """`why` an adapter is not served, None where it is; `found` are the measurements, for people."""

    why: str | None
    found: dict[str, Any]


class Verdicts:
    """The verdicts in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, digest: str, engine: str) -> Verdict | None:
        with self._database.read() as session:
            row = session.get(VerdictRow, (digest, engine))
            return Verdict(row.why, row.found) if row else None

    def keep(self, digest: str, engine: str, verdict: Verdict) -> None:
        now = datetime.now(UTC)
        with self._database.write(counts=False) as session:
            session.merge(
                VerdictRow(digest=digest, engine=engine, why=verdict.why, found=verdict.found, time=now)
            )
