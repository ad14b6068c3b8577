"""Where the aliases point, by compare-and-swap, and where they pointed before."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.failpoints import reach
from serve.registry.database import Database
from serve.registry.gate import FREE, passage
from serve.registry.index import live_version
from serve.registry.records import Aim, AliasMoved, UnknownAdapter
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
        override: str | None = None,
    ) -> None:
        """Point all of the aliases to a version alone (None: to nothing), or none of them.

        AliasMoved if one is not where it was expected, GateClosed if the version does not bring what one asks
        for, unless `override` says why it moves all the same. An alias that is there already stays, whatever
        was expected, and gets no history entry: a client that lost the answer may ask again.
        """
        with self._database.write() as session:
            if number is not None:
                live_version(session, name, number)
            else:
                _require_adapter(session, name)
            for alias in dict.fromkeys(aliases):
                aim = None if number is None else Aim(number)
                _move(session, name, alias, aim, expected, by, gated=True, override=override)

    def split(
        self,
        name: str,
        alias: str,
        canary: int,
        weight: int,
        expected: Expected = "any",
        by: str | None = None,
        override: str | None = None,
    ) -> Aim:
        """Have an alias send `weight` percent of its requests (1 to 99) to a canary; where it points then.

        The others stay with the version that it points to; AliasMoved where that is none, or the canary.
        GateClosed as for a move of all.
        """
        with self._database.write() as session:
            live_version(session, name, canary)
            here = session.get(AliasRow, (name, alias))
            if here is None or here.number == canary:
                raise AliasMoved(
                    f"alias {alias!r} of adapter {name!r} points to {_at(here.number if here else None)}, so "
                    f"version {canary} can be no canary of it; point it to another version first, as with "
                    f"`serve promote {name}@NUMBER --alias {alias}`."
                )
            aim = Aim(here.number, canary, weight)
            _move(session, name, alias, aim, expected, by, gated=True, override=override)
            return aim

    def roll_back(self, name: str, alias: str, by: str | None = None) -> tuple[Aim, Aim]:
        """Point an alias to where it was before its last move, and tell from where to where.

        A version that is rolled back from gets no requests: a canary of now is not one again. A second
        rollback undoes the first. No gate asks: who rolls back is in a hurry. AliasMoved where there is
        nowhere to go back to.
        """
        with self._database.write() as session:
            _require_adapter(session, name)
            moves = select(MoveRow).filter_by(adapter=name, alias=alias).order_by(MoveRow.sequence.desc())
            now, before = [*map(aim_of, session.scalars(moves.limit(2))), None, None][:2]
            if now is None or before is None:
                raise AliasMoved(
                    f"alias {alias!r} of adapter {name!r} has no previous version; choose one with "
                    f"`serve promote {name}@NUMBER --alias {alias}`."
                )
            aim = Aim(before.number) if before.canary in now.numbers else before
            for number in aim.numbers:
                live_version(session, name, number)
            _move(session, name, alias, aim, now.number, by)
            return now, aim

    def at(self, name: str, alias: str) -> Aim | None:
        """Where an alias points; None for nowhere."""
        with self._database.read() as session:
            _require_adapter(session, name)
            row = session.get(AliasRow, (name, alias))
            return aim_of(row) if row else None

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


def aim_of(row: AliasRow | MoveRow) -> Aim | None:
    """Where an alias points, or where a move led."""
    return None if row.number is None else Aim(row.number, row.canary, row.weight)


def _move(
    session: Session,
    name: str,
    alias: str,
    aim: Aim | None,
    expected: Expected,
    by: str | None,
    gated: bool = False,
    override: str | None = None,
) -> None:
    row = session.get(AliasRow, (name, alias))
    if (aim_of(row) if row else None) == aim:
        return
    previous = row.number if row else None
    if expected not in ("any", previous):
        raise AliasMoved(
            f"alias {alias!r} of adapter {name!r} points to {_at(previous)}, where "
            f"{_at(expected)} was expected; look with `serve show {name}` and decide again."
        )
    through = passage(session, name, alias, previous, aim, override) if gated else FREE
    if aim:
        session.merge(AliasRow(adapter=name, alias=alias, **vars(aim)))
    elif row:
        session.delete(row)
    led = vars(aim) if aim else {}
    moved = {"adapter": name, "alias": alias, "previous": previous, "time": datetime.now(UTC), "by": by}
    session.add(MoveRow(**moved, **led, **through._asdict()))
    reach("aliases.move")


def _require_adapter(session: Session, name: str) -> None:
    if session.get(AdapterRow, name) is None:
        raise UnknownAdapter(f"no model or adapter is named {name!r}")


def _at(number: Expected) -> str:
    return "no version" if number is None else f"version {number}"
