"""The index in SQL: which versions there are, where the aliases point, and where they pointed before."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Select,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from serve.registry.records import AliasMoved, UnknownAdapter

Expected = int | None | Literal["any"]
"""Where a caller believes an alias to point: a version's number, None for nowhere, or "any" to not care."""

BUSY_SECONDS = 15
"""How long a transaction waits for another process's to end."""


class _Utc(TypeDecorator[datetime]):
    """SQLite keeps no time zone, so UTC goes in and UTC comes out."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


class _Table(DeclarativeBase):
    type_annotation_map = {dict[str, str]: JSON, datetime: _Utc}


class AdapterRow(_Table):
    __tablename__ = "adapters"
    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]


class VersionRow(_Table):
    """`files` is the digest of each file by its name: what the blobs are found by."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("adapter", "digest"),)
    adapter: Mapped[str] = mapped_column(ForeignKey("adapters.name"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    rank: Mapped[int]
    base_fingerprint: Mapped[str]
    files: Mapped[dict[str, str]]
    created: Mapped[datetime]


class AliasRow(_Table):
    __tablename__ = "aliases"
    __table_args__ = (ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]


class MoveRow(_Table):
    """One move of an alias; AUTOINCREMENT, so that no sequence number ever comes twice."""

    __tablename__ = "alias_history"
    __table_args__ = (
        ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),
        {"sqlite_autoincrement": True},
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    adapter: Mapped[str] = mapped_column(index=True)
    alias: Mapped[str]
    previous: Mapped[int | None]
    number: Mapped[int]
    time: Mapped[datetime]


_IMMUTABLE = [
    f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} are immutable'); END"
    for table in ("versions", "alias_history")
    for verb in ("update", "delete")
]


class Index:
    """The tables in one SQLite file. Thread-safe; each call is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._readers = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(self._readers, "connect", _configure)
        event.listen(self._readers, "begin", _begin)
        self._writers = self._readers.execution_options(writes=True)
        with self._writers.begin() as connection:
            _Table.metadata.create_all(connection)
            for statement in _IMMUTABLE:
                connection.execute(text(statement))

    def close(self) -> None:
        self._readers.dispose()

    def add(
        self, name: str, digest: str, rank: int, base_fingerprint: str, files: dict[str, str]
    ) -> VersionRow:
        """The version with this digest, made with the adapter's next number if it is not there yet."""
        with _transaction(self._writers) as session:
            if known := session.scalar(_versions(name).where(VersionRow.digest == digest)):
                return known
            now = datetime.now(UTC)
            if session.get(AdapterRow, name) is None:
                session.add(AdapterRow(name=name, created=now))
                session.flush()
            last = session.scalar(select(func.max(VersionRow.number)).where(VersionRow.adapter == name))
            row = VersionRow(
                adapter=name,
                number=(last or 0) + 1,
                digest=digest,
                rank=rank,
                base_fingerprint=base_fingerprint,
                files=files,
                created=now,
            )
            session.add(row)
            return row

    def move(self, name: str, aliases: Sequence[str], number: int, expected: Expected = "any") -> None:
        """Point all of the aliases to a version, or none; AliasMoved if one is not where it was expected.

        An alias that is there already stays, whatever was expected, and gets no history entry: a client
        that lost the answer may ask again.
        """
        with _transaction(self._writers) as session:
            if session.get(VersionRow, (name, number)) is None:
                raise UnknownAdapter(
                    f"adapter {name!r} has no version {number}; `serve show {name}` lists them."
                )
            for alias in aliases:
                row = session.get(AliasRow, (name, alias))
                previous = row.number if row else None
                if previous == number:
                    continue
                if expected not in ("any", previous):
                    raise AliasMoved(
                        f"alias {alias!r} of adapter {name!r} points to {_at(previous)}, where "
                        f"{_at(expected)} was expected; look with `serve show {name}` and decide again."
                    )
                session.merge(AliasRow(adapter=name, alias=alias, number=number))
                session.add(
                    MoveRow(
                        adapter=name, alias=alias, previous=previous, number=number, time=datetime.now(UTC)
                    )
                )

    def by_alias(self, name: str, alias: str) -> VersionRow | None:
        pointed_at = select(AliasRow.number).filter_by(adapter=name, alias=alias).scalar_subquery()
        return self._one(_versions(name).where(VersionRow.number == pointed_at))

    def by_number(self, name: str, number: int) -> VersionRow | None:
        return self._one(_versions(name).where(VersionRow.number == number))

    def by_digest(self, name: str, digest: str) -> VersionRow | None:
        return self._one(_versions(name).where(VersionRow.digest == digest))

    def names(self) -> list[str]:
        with _transaction(self._readers) as session:
            return list(session.scalars(select(AdapterRow.name).order_by(AdapterRow.name)))

    def versions(self, name: str | None = None) -> list[VersionRow]:
        """By adapter and number; of one adapter or of all."""
        with _transaction(self._readers) as session:
            return list(session.scalars(_versions(name).order_by(VersionRow.adapter, VersionRow.number)))

    def aliases(self, name: str | None = None) -> list[AliasRow]:
        """By adapter and alias; of one adapter or of all."""
        query = select(AliasRow).order_by(AliasRow.adapter, AliasRow.alias)
        with _transaction(self._readers) as session:
            return list(session.scalars(query if name is None else query.filter_by(adapter=name)))

    def history(self, name: str) -> list[MoveRow]:
        """Every move of the adapter's aliases, oldest first."""
        with _transaction(self._readers) as session:
            return list(session.scalars(select(MoveRow).filter_by(adapter=name).order_by(MoveRow.sequence)))

    def _one(self, query: Select[VersionRow]) -> VersionRow | None:
        with _transaction(self._readers) as session:
            return session.scalar(query)


def _versions(name: str | None) -> Select[VersionRow]:
    query = select(VersionRow)
    return query if name is None else query.where(VersionRow.adapter == name)


def _at(number: Expected) -> str:
    return "no version" if number is None else f"version {number}"


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    """Rows stay readable after the commit, so that callers need no session."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def _configure(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: see _begin.
    connection.isolation_level = None
    # The rollback journal, because SQLite before 3.51.3 can corrupt a database in WAL mode.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Any) -> None:
    # A writer takes its lock before it reads: what it compares is still true when it writes.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
