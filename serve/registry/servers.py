"""Which servers use a registry, and what their engines hold."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from serve.registry.database import Database
from serve.registry.tables import ServerRow

ALIVE = timedelta(seconds=15)
"""A server that was not heard of for longer counts as gone."""


class Servers:
    """The servers in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alive(self, identity: str, url: str, loaded: list[str]) -> None:
        """Tell that a server lives, and which versions (`name@number`) are in its engine."""
        now = datetime.now(UTC)
        with self._database.write(counts=False) as session:
            session.execute(delete(ServerRow).where(ServerRow.seen < now - 100 * ALIVE))
            session.merge(ServerRow(identity=identity, url=url, loaded=loaded, seen=now))

    def gone(self, identity: str) -> None:
        with self._database.write(counts=False) as session:
            session.execute(delete(ServerRow).where(ServerRow.identity == identity))

    def loaded(self) -> dict[str, list[str]]:
        """The servers' URLs by what they hold, as `name@number`."""
        since = datetime.now(UTC) - ALIVE
        found: dict[str, list[str]] = {}
        with self._database.read() as session:
            query = select(ServerRow).where(ServerRow.seen > since).order_by(ServerRow.url)
            for row in session.scalars(query):
                for reference in row.loaded:
                    found.setdefault(reference, []).append(row.url)
        return found
