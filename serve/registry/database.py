"""One SQL database: SQLite in a file, or PostgreSQL by URL. Short transactions, one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from data.errors import UserError
from serve.registry.records import StorageBusy, StorageFull
from serve.registry.tables import RevisionRow

BUSY_SECONDS = 15.0
"""How long a transaction waits for another process's to end."""

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_MIGRATING = 0x656E7865  # the name of a lock: any number that nobody else takes


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


class Database:
    """The tables at `url`, brought up to date. Thread-safe.

    A write transaction counts the revision up first, or locks its row, which makes writers wait for each
    other on PostgreSQL as SQLite's own lock does: what one compares is still true when it writes.
    """

    def __init__(self, url: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self._readers = _engine(url, busy_seconds)
        self._writers = self._readers.execution_options(writes=True)
        with _sentences(), self._writers.begin() as connection:
            _migrate(connection)

    def close(self) -> None:
        self._readers.dispose()

    @property
    def dialect(self) -> str:
        return self._readers.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing; rows stay readable after it."""
        with _sentences(), Session(self._readers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self, counts: bool = True) -> Iterator[Session]:
        """A transaction that commits at the end, or leaves nothing. `counts`: others must look again."""
        with _sentences(), Session(self._writers, expire_on_commit=False) as session, session.begin():
            if counts:
                session.execute(update(RevisionRow).values(number=RevisionRow.number + 1))
            else:
                session.execute(select(RevisionRow.number).with_for_update())
            yield session

    def count_on(self, session: Session, table: str, column: str) -> None:
        """Have `column` count on from its highest number, after rows came with numbers of their own."""
        if self.dialect == "postgresql":
            highest = f"(SELECT coalesce(max({column}), 1) FROM {table})"
            session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), {highest})"))

    def revision(self) -> int:
        """Unchanged as long as every name means what it meant."""
        with self.read() as session:
            return session.scalars(select(RevisionRow.number)).one()

    def size(self) -> int:
        """Bytes of the database."""
        query = "pg_database_size(current_database())"
        if self.dialect == "sqlite":
            query = "page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        with self.read() as session:
            return int(session.execute(text(f"SELECT {query}")).scalar_one())


def _engine(url: str, busy_seconds: float) -> Engine:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, KeyError, NoSuchModuleError):
        raise UserError(
            f"{url.split(':')[0]!r} is no database of a registry; give sqlite:///FILE or postgresql://HOST/NAME."
        ) from None
    parsed = parsed.set(drivername=driver)
    if driver == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": busy_seconds})
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        return engine
    milliseconds = int(busy_seconds * 1000)
    options = f"-c lock_timeout={milliseconds} -c statement_timeout={2 * milliseconds}"
    return create_engine(
        parsed, pool_pre_ping=True, connect_args={"options": options, "connect_timeout": int(busy_seconds)}
    )


def _configure(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: see _begin.
    connection.isolation_level = None
    # The rollback journal, because SQLite before 3.51.3 can corrupt a database in WAL mode.
    connection.execute("PRAGMA journal_mode = DELETE")
    # FULL does not flush the folder once the journal is gone: after a power cut it would take a commit back.
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Any) -> None:
    # A writer takes its lock before it reads.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Any) -> None:
    """Inside one transaction, and for one server at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _sentences() -> Iterator[None]:
    """What a database says when it is busy, away or full, as one sentence each."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig)
        if "is full" in said or "No space left" in said or "disk full" in said.lower():
            raise StorageFull("The index's disk is full; make room on it, then try again.") from error
        away = ("locked", "busy", "timeout", "connection", "recovery", "shutting down", "starting up")
        if error.connection_invalidated or any(word in said for word in away):
            raise StorageBusy(
                "The index is in use by somebody else, or cannot be reached; try again in a moment."
            ) from error
        raise
