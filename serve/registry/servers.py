"""Which servers use a registry, and what their engines hold."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

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
        """Tell that a server ends; what it held stays known for the next one at its address."""
        with self._database.write(counts=False) as session:
            ended = update(ServerRow).where(ServerRow.identity == identity)
            session.execute(ended.values(seen=datetime.now(UTC) - ALIVE))

    def last_held(self, url: str) -> list[str]:
        """What the server at this address held when it was last heard of, as `name@number`."""
        latest = select(ServerRow).filter_by(url=url).order_by(ServerRow.seen.desc()).limit(1)
        with self._database.read() as session:
            row = session.scalar(latest)
            return row.loaded if row else []

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
