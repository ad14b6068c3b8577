"""Which versions there are: immutable once added, removed by a tombstone, kept by a pin."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, func, select
from sqlalchemy.orm import Session, aliased

from serve.failpoints import reach
from serve.registry.database import Database
from serve.registry.records import InUse, NotServable, UnknownAdapter
from serve.registry.tables import AdapterRow, AliasRow, PinRow, TombstoneRow, VersionRow


@dataclass(frozen=True)
class NewVersion:
    """What is said of a version when it is added; `files` is the digest of each by name, `size` in bytes."""

    digest: str
    rank: int
    base_fingerprint: str
    files: dict[str, str]
    size: int = 0
    pushed_by: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


class Pointed(NamedTuple):
    """What an alias points to."""

    version: VersionRow
    canary: VersionRow | None = None
    weight: int | None = None


class Index:
    """Versions in a database. Each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, new: NewVersion, before_commit: Callable[[], None] = lambda: None) -> VersionRow:
        """The version with this digest, made with the adapter's next number if it is not there yet.

        A removed one is back, with its old number: the same bytes are the same version. `before_commit` runs
        under the lock that a collection of garbage takes too: what it finds then stays.
        """
        with self._database.write() as session:
            before_commit()
            reach("index.add")
            if known := session.scalar(_versions(name).where(VersionRow.digest == new.digest)):
                buried = session.get(TombstoneRow, (name, known.number)) is not None
                if buried and not new.files.items() <= known.files.items():
                    # Of an import, which has no bytes of it: it must not say what the engine gets.
                    raise NotServable(
                        f"version {known.number} of {name!r} was removed where it names other files for the "
                        "engine than these have; push them under another name."
                    )
                session.execute(delete(TombstoneRow).filter_by(adapter=name, number=known.number))
                return known
            now = datetime.now(UTC)
            if session.get(AdapterRow, name) is None:
                session.add(AdapterRow(name=name, created=now))
                session.flush()
            last = session.scalar(select(func.max(VersionRow.number)).where(VersionRow.adapter == name))
            row = VersionRow(adapter=name, number=(last or 0) + 1, created=now, **vars(new))
            session.add(row)
            return row

    def remove(self, name: str, number: int, by: str | None = None) -> None:
        """Bury a version; InUse while an alias points to it or a pin holds it.

        One that is buried stays so: a client that lost the answer may ask again.
        """
        with self._database.write() as session:
            if session.get(TombstoneRow, (name, number)):
                return
            live_version(session, name, number)
            means_it = (AliasRow.number == number) | (AliasRow.canary == number)
            pointing = list(session.scalars(select(AliasRow.alias).filter_by(adapter=name).where(means_it)))
            if pointing:
                raise InUse(
                    f"version {number} of adapter {name!r} is what {', '.join(map(repr, pointing))} means; "
                    "move or remove that alias first."
                )
            if session.get(PinRow, (name, number)):
                raise InUse(
                    f"version {number} of adapter {name!r} is pinned; unpin it first with "
                    f"`serve pin --off {name}@{number}`."
                )
            session.add(TombstoneRow(adapter=name, number=number, by=by, time=datetime.now(UTC)))
            reach("index.remove")

    def pin(self, name: str, number: int, by: str | None = None) -> None:
        """Keep a version; pinning twice is pinning once."""
        with self._database.write() as session:
            live_version(session, name, number)
            if session.get(PinRow, (name, number)) is None:
                session.add(PinRow(adapter=name, number=number, by=by, time=datetime.now(UTC)))
            reach("index.pin")

    def unpin(self, name: str, number: int) -> None:
        with self._database.write() as session:
            live_version(session, name, number)
            session.execute(delete(PinRow).filter_by(adapter=name, number=number))
            reach("index.unpin")

    def by_alias(self, name: str, alias: str) -> Pointed | None:
        version, canary = aliased(VersionRow), aliased(VersionRow)
        query = (
            select(version, canary, AliasRow.weight)
            .join_from(AliasRow, version, _is(version, AliasRow.number))
            .outerjoin(canary, _is(canary, AliasRow.canary))
            .where(AliasRow.adapter == name, AliasRow.alias == alias)
        )
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
            return Pointed(*row) if row else None

    def by_number(self, name: str, number: int) -> VersionRow | None:
        return self._one(_versions(name).where(VersionRow.number == number))

    def by_digest(self, name: str, digest: str) -> VersionRow | None:
        return self._one(_versions(name).where(VersionRow.digest == digest))

    def names(self) -> list[str]:
        with self._database.read() as session:
            return list(session.scalars(select(AdapterRow.name).order_by(AdapterRow.name)))

    def page(self, after: str, limit: int, only: Collection[str] | None = None) -> list[str]:
        """The next names behind `after` of adapters that have a version still; of those in `only`."""
        buried = select(TombstoneRow.number).where(
            TombstoneRow.adapter == VersionRow.adapter, TombstoneRow.number == VersionRow.number
        )
        live = select(VersionRow.number).where(VersionRow.adapter == AdapterRow.name, ~buried.exists())
        query = select(AdapterRow.name).where(AdapterRow.name > after, live.exists())
        if only is not None:
            query = query.where(AdapterRow.name.in_(only))
        with self._database.read() as session:
            return list(session.scalars(query.order_by(AdapterRow.name).limit(limit)))

    def pointed_at(self, canaries: bool = False) -> list[Any]:
        """Every alias with its version, by adapter and alias: `alias`, `weight` and the columns of the
        version, without the two of JSON, in which most of the time goes where there are thousands.

        Of `canaries`: those aliases that have one, with that version.
        """
        row = VersionRow
        columns = (row.adapter, row.number, row.digest, row.rank, row.base_fingerprint, row.created)
        here = _is(row, AliasRow.canary if canaries else AliasRow.number)
        query = select(AliasRow.alias, AliasRow.weight, *columns).join(row, here)
        query = query.order_by(AliasRow.adapter, AliasRow.alias)
        with self._database.read() as session:
            return list(session.execute(query))

    def versions(self, *names: str) -> list[VersionRow]:
        """By adapter and number, removed ones too; of these adapters, or of all."""
        return self._all(VersionRow, names)

    def tombstones(self, *names: str) -> list[TombstoneRow]:
        return self._all(TombstoneRow, names)

    def pins(self, *names: str) -> list[PinRow]:
        return self._all(PinRow, names)

    def _all(self, table: Any, names: tuple[str, ...]) -> list[Any]:
        query = select(table).order_by(table.adapter, table.number)
        with self._database.read() as session:
            return list(session.scalars(query.where(table.adapter.in_(names)) if names else query))

    def _one(self, query: Select[VersionRow]) -> VersionRow | None:
        """The version, unless it was removed."""
        with self._database.read() as session:
            row = session.scalar(query)
            buried = row and session.get(TombstoneRow, (row.adapter, row.number))
            return None if buried else row


def live_version(session: Session, name: str, number: int) -> VersionRow:
    """The version; UnknownAdapter where there is none, or none any more."""
    row = session.get(VersionRow, (name, number))
    buried = session.get(TombstoneRow, (name, number))
    if row is None or buried is not None:
        gone = "was removed" if row else "does not exist"
        raise UnknownAdapter(f"version {number} of adapter {name!r} {gone}")
    return row


def _is(version: Any, number: Any) -> ColumnElement[bool]:
    """The version that a column of the alias names."""
    return and_(version.adapter == AliasRow.adapter, version.number == number)


def _versions(name: str) -> Select[VersionRow]:
    return select(VersionRow).where(VersionRow.adapter == name)
