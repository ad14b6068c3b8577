"""Is everything in the registry whole? Every byte of every version, every alias, every move."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text

from data.errors import UserError
from serve.registry.aliases import aim_of
from serve.registry.blobs import verify
from serve.registry.folders import whole
from serve.registry.records import Aim
from serve.registry.storage import Storage
from serve.registry.tables import AliasRow, MoveRow, VersionRow


@dataclass(frozen=True)
class Problem:
    """`what` is wrong, and `why`: a sentence with the next step."""

    what: str
    why: str


@dataclass(frozen=True)
class Examined:
    """How much was looked at, and all that was found wrong."""

    versions: int
    blobs: int
    moves: int
    problems: list[Problem]


def fsck(storage: Storage) -> Examined:
    """Read everything and compare. Changes nothing, except that a damaged engine folder is taken away:
    it is made again from the blobs when it is needed."""
    buried = {(row.adapter, row.number) for row in storage.index.tombstones()}
    live = [row for row in storage.index.versions() if (row.adapter, row.number) not in buried]
    moves = storage.aliases.history()
    blobs = sorted({blob for row in live for blob in row.files.values()})
    problems = [
        *_database(storage),
        *_blobs(storage, blobs, live),
        *_folders(storage, live),
        *in_order(storage.aliases.all(), live, moves),
    ]
    return Examined(len(live), len(blobs), len(moves), problems)


def _database(storage: Storage) -> Iterator[Problem]:
    if storage.database.dialect != "sqlite":
        return  # PostgreSQL checks its own pages
    with storage.database.read() as session:
        for (line,) in session.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield Problem("the index", f"SQLite finds it damaged ({line}); restore it from an export.")


def _blobs(storage: Storage, blobs: list[str], live: list[VersionRow]) -> Iterator[Problem]:
    for blob in blobs:
        try:
            verify(storage.blobs, blob)
        except UserError as error:
            names = [f"{row.adapter}@{row.number}" for row in live if blob in row.files.values()]
            yield Problem(", ".join(names[:5]), str(error))


def _folders(storage: Storage, live: list[VersionRow]) -> Iterator[Problem]:
    for row in live:
        folder = storage.folders.path(row.digest)
        if folder.is_dir() and not whole(folder, row.files):
            storage.folders.discard(folder)
            yield Problem(
                f"{row.adapter}@{row.number}",
                "its folder for the engine was damaged; it was taken away, and is made again from the blobs.",
            )


def in_order(aliases: list[AliasRow], live: list[VersionRow], moves: list[MoveRow]) -> Iterator[Problem]:
    """Every move begins where the one before ended, and the last ends where the alias points."""
    there = {(row.adapter, row.number) for row in live}
    ends: dict[tuple[str, str], Aim | None] = {}
    for move in moves:
        alias = (move.adapter, move.alias)
        due = ends.get(alias)
        if (due and due.number) != move.previous:
            yield Problem(
                f"{move.adapter}:{move.alias}",
                f"move {move.sequence} begins at {move.previous}, where {due and due.number} was due.",
            )
        ends[alias] = aim_of(move)
    for row in aliases:
        what, aim = f"{row.adapter}:{row.alias}", Aim(row.number, row.canary, row.weight)
        if ends.pop((row.adapter, row.alias), None) != aim:
            yield Problem(what, f"it points to {_said(aim)}, where no move led it.")
        if not _possible(aim):
            yield Problem(what, f"it points to {_said(aim)}, which is no way to divide requests.")
        for number in aim.numbers:
            if (row.adapter, number) not in there:
                yield Problem(what, f"it points to version {number}, which is not there.")
    for (adapter, name), left in ends.items():
        if left:
            yield Problem(f"{adapter}:{name}", f"its last move led to {_said(left)}, and it points nowhere.")


def _possible(aim: Aim) -> bool:
    if aim.canary is None:
        return aim.weight is None
    return aim.canary != aim.number and aim.weight is not None and 0 < aim.weight < 100


def _said(aim: Aim) -> str:
    return f"{aim.number}" + (f", but for {aim.weight}% to {aim.canary}" if aim != Aim(aim.number) else "")
