"""Where the aliases point, by compare-and-swap, and where they pointed before."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.failpoints import reach
from serve.registry.database import Database
from serve.registry.index import live_version
from serve.registry.records import AliasMoved, UnknownAdapter
from serve.registry.tables import AdapterRow, AliasRow, MoveRow

Expected = int | None | Literal["any"]
"""Where a caller believes an alias to point: a version's number, None for nowhere, or "any" to not care."""


class Aliases:
    """The aliases of all adapters in a database. Each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def move(
        self,
        name: str,
        aliases: Sequence[str],
        number: int | None,
        expected: Expected = "any",
        by: str | None = None,
    ) -> None:
        """Point all of the aliases to a version (None: to nothing), or none of them.

        AliasMoved if one is not where it was expected. An alias that is there already stays, whatever was
        expected, and gets no history entry: a client that lost the answer may ask again.
        """
        with self._database.write() as session:
            if number is not None:
                live_version(session, name, number)
            elif session.get(AdapterRow, name) is None:
                raise _no_adapter(name)
            for alias in dict.fromkeys(aliases):
                _move(session, name, alias, number, expected, by)

    def roll_back(self, name: str, alias: str, by: str | None = None) -> tuple[int, int]:
        """Point an alias to where it was before its last move, and tell from where to where.

        A second rollback undoes the first. AliasMoved where there is nowhere to go back to.
        """
        with self._database.write() as session:
            if session.get(AdapterRow, name) is None:
                raise _no_adapter(name)
            last = session.scalar(
                select(MoveRow)
                .filter_by(adapter=name, alias=alias)
                .order_by(MoveRow.sequence.desc())
                .limit(1)
            )
            if last is None or last.previous is None or last.number is None:
                raise AliasMoved(
                    f"alias {alias!r} of adapter {name!r} has no previous version; choose one with "
                    f"`serve promote {name}@NUMBER --alias {alias}`."
                )
            live_version(session, name, last.previous)
            _move(session, name, alias, last.previous, last.number, by)
            return last.number, last.previous

    def at(self, name: str, alias: str) -> int | None:
        """Where an alias points; None for nowhere."""
        with self._database.read() as session:
            if session.get(AdapterRow, name) is None:
                raise _no_adapter(name)
            row = session.get(AliasRow, (name, alias))
            return row.number if row else None

    def all(self, *names: str) -> list[AliasRow]:
        """By adapter and alias; of these adapters, or of all."""
        query = select(AliasRow).order_by(AliasRow.adapter, AliasRow.alias)
        with self._database.read() as session:
            return list(session.scalars(query.where(AliasRow.adapter.in_(names)) if names else query))

    def history(self, name: str | None = None) -> list[MoveRow]:
        """Every move, oldest first; of one adapter's aliases or of all."""
        query = select(MoveRow).order_by(MoveRow.sequence)
        with self._database.read() as session:
            return list(session.scalars(query if name is None else query.filter_by(adapter=name)))


def _move(
    session: Session, name: str, alias: str, number: int | None, expected: Expected, by: str | None
) -> None:
    row = session.get(AliasRow, (name, alias))
    previous = row.number if row else None
    if previous == number:
        return
    if expected not in ("any", previous):
        raise AliasMoved(
            f"alias {alias!r} of adapter {name!r} points to {_at(previous)}, where "
            f"{_at(expected)} was expected; look with `serve show {name}` and decide again."
        )
    if row and number is None:
        session.delete(row)
    elif number is not None:
        session.merge(AliasRow(adapter=name, alias=alias, number=number))
    session.add(
        MoveRow(adapter=name, alias=alias, previous=previous, number=number, time=datetime.now(UTC), by=by)
    )
    reach("aliases.move")


def _no_adapter(name: str) -> UnknownAdapter:
    return UnknownAdapter(f"no model or adapter is named {name!r}")


def _at(number: Expected) -> str:
    return "no version" if number is None else f"version {number}"
