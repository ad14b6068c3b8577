"""Versions and aliases on SQLite and PostgreSQL: immutable, by compare-and-swap, a history without gaps."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from serve.registry.aliases import Aliases
from serve.registry.database import Database, sqlite_url
from serve.registry.index import Index, NewVersion
from serve.registry.records import Aim, AliasMoved, InUse, StorageBusy, UnknownAdapter


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database)


@pytest.fixture
def aliases(database: Database) -> Aliases:
    return Aliases(database)


def add(index: Index, name: str = "support", digest: str = "sha256:1") -> int:
    return index.add(name, NewVersion(digest, 8, "sha256:base", {"manifest.json": digest})).number


def test_numbers_count_per_adapter_and_the_same_digest_is_the_same_version(index: Index) -> None:
    assert [add(index, digest=digest) for digest in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert add(index, "other", "a") == 1
    assert index.names() == ["other", "support"]
    assert [(row.adapter, row.number) for row in index.versions()] == [
        ("other", 1), ("support", 1), ("support", 2), ("support", 3)
    ]  # fmt: skip


def test_a_page_is_of_those_that_have_a_version(index: Index) -> None:
    for name in ("d", "a", "c", "b"):
        add(index, name), add(index, name, "other")
    index.remove("a", 1), index.remove("b", 1), index.remove("b", 2)
    assert index.page("", 2) == ["a", "c"]
    assert index.page("c", 2) == ["d"]
    assert index.page("d", 2) == []
    assert index.page("", 9, only=("d", "b", "x")) == ["d"]
    assert [(row.adapter, row.number) for row in index.versions("c", "d")] == [
        ("c", 1), ("c", 2), ("d", 1), ("d", 2)
    ]  # fmt: skip


def test_a_version_is_found_in_every_way(index: Index, aliases: Aliases) -> None:
    add(index, digest="a"), add(index, digest="b")
    aliases.move("support", ["canary"], 2)
    pointed = index.by_alias("support", "canary")
    assert pointed is not None
    for row in (index.by_number("support", 2), index.by_digest("support", "b"), pointed.version):
        assert row is not None
        assert (row.number, row.digest, row.files) == (2, "b", {"manifest.json": "b"})
        assert abs((datetime.now(UTC) - row.created).total_seconds()) < 60
    assert index.by_alias("support", "default") is None
    assert index.by_number("other", 1) is None


def test_what_was_written_is_there_after_a_restart(database_url: str, index: Index, aliases: Aliases) -> None:
    add(index)
    aliases.move("support", ["default"], 1)
    again = Database(database_url)
    found = Index(again).by_alias("support", "default")
    again.close()
    assert found is not None
    assert found.version.number == 1


def test_an_alias_moves_only_from_where_it_was_expected(index: Index, aliases: Aliases) -> None:
    add(index, digest="a"), add(index, digest="b"), add(index, digest="c")
    aliases.move("support", ["default"], 1, expected=None)
    with pytest.raises(AliasMoved, match="points to version 1, where no version was expected"):
        aliases.move("support", ["default"], 2, expected=None)
    with pytest.raises(AliasMoved, match="points to version 1, where version 3 was expected"):
        aliases.move("support", ["default"], 2, expected=3)
    aliases.move("support", ["default"], 2, expected=1, by="ana")
    aliases.move("support", ["default"], 3)
    aliases.move("support", ["default"], 3, expected=2)
    moves = aliases.history("support")
    assert [(move.sequence, move.alias, move.previous, move.number, move.by) for move in moves] == [
        (1, "default", None, 1, None), (2, "default", 1, 2, "ana"), (3, "default", 2, 3, None)
    ]  # fmt: skip


def test_an_alias_goes_back_and_goes_away(index: Index, aliases: Aliases) -> None:
    add(index, digest="a"), add(index, digest="b")
    with pytest.raises(AliasMoved, match="no previous version"):
        aliases.roll_back("support", "default")
    aliases.move("support", ["default"], 1)
    aliases.move("support", ["default"], 2)
    assert aliases.roll_back("support", "default") == (Aim(2), Aim(1))
    assert aliases.roll_back("support", "default") == (Aim(1), Aim(2))
    aliases.move("support", ["default"], None, expected=2)
    assert aliases.all("support") == []
    assert [(move.previous, move.number) for move in aliases.history()][-1] == (2, None)
    with pytest.raises(AliasMoved, match="no previous version"):
        aliases.roll_back("support", "default")
    for name in ("move", "roll_back"):
        with pytest.raises(UnknownAdapter, match="named 'other'"):
            aliases.move("other", ["a"], None) if name == "move" else aliases.roll_back("other", "a")


def test_an_alias_sends_a_part_of_its_requests_to_a_canary(index: Index, aliases: Aliases) -> None:
    for digest in "abc":
        add(index, digest=digest)
    with pytest.raises(AliasMoved, match="points to no version, so version 2 can be no canary of it"):
        aliases.split("support", "default", 2, 10)
    aliases.move("support", ["default"], 1)
    with pytest.raises(AliasMoved, match="points to version 1, so version 1 can be no canary of it"):
        aliases.split("support", "default", 1, 10)
    with pytest.raises(AliasMoved, match="points to version 1, where version 2 was expected"):
        aliases.split("support", "default", 2, 10, expected=2)
    with pytest.raises(UnknownAdapter, match="version 4 of adapter 'support' does not exist"):
        aliases.split("support", "default", 4, 10)
    for _ in range(2):
        assert aliases.split("support", "default", 2, 10, expected=1) == Aim(1, 2, 10)
    assert len(aliases.history()) == 2, "said twice is done once"
    pointed = index.by_alias("support", "default")
    assert pointed is not None
    assert pointed.canary is not None
    assert (pointed.version.number, pointed.canary.number, pointed.weight) == (1, 2, 10)
    with pytest.raises(InUse, match="version 2 of adapter 'support' is what 'default' means"):
        index.remove("support", 2)
    aliases.move("support", ["default"], 1)
    assert aliases.at("support", "default") == Aim(1), "promoting what is there ends the canary"
    index.remove("support", 2)


def test_a_rollback_never_sends_requests_to_what_it_leaves(index: Index, aliases: Aliases) -> None:
    for digest in "abc":
        add(index, digest=digest)
    aliases.move("support", ["default"], 1)
    aliases.split("support", "default", 2, 10)
    aliases.split("support", "default", 2, 50)
    steps = [aliases.roll_back("support", "default") for _ in range(2)]
    assert steps == [(Aim(1, 2, 50), Aim(1)), (Aim(1), Aim(1, 2, 50))], "the second undoes the first"
    aliases.move("support", ["default"], 2)
    steps = [aliases.roll_back("support", "default") for _ in range(2)]
    assert steps == [(Aim(2), Aim(1)), (Aim(1), Aim(2))]
    aliases.split("support", "default", 3, 5)
    aliases.move("support", ["default"], 1)
    assert aliases.roll_back("support", "default") == (Aim(1), Aim(2, 3, 5)), "what has nothing to do with it"


def test_several_aliases_move_together_or_not_at_all(index: Index, aliases: Aliases) -> None:
    add(index, digest="a"), add(index, digest="b")
    aliases.move("support", ["canary"], 1)
    with pytest.raises(AliasMoved):
        aliases.move("support", ["default", "canary"], 2, expected=None)
    assert [(row.alias, row.number) for row in aliases.all("support")] == [("canary", 1)]
    aliases.move("support", ["default", "canary"], 2)
    assert [(row.alias, row.number) for row in aliases.all("support")] == [("canary", 2), ("default", 2)]


@pytest.mark.parametrize(("columns", "numbers"), [("number", "2"), ("number, canary, weight", "1, 2, 10")])
def test_an_alias_cannot_point_to_a_version_that_is_not_there(
    database: Database, index: Index, aliases: Aliases, columns: str, numbers: str
) -> None:
    add(index)
    with pytest.raises(UnknownAdapter, match="version 2 of adapter 'support' does not exist"):
        aliases.move("support", ["default"], 2)
    with pytest.raises(sqlalchemy.exc.IntegrityError), database.write() as session:
        session.execute(
            text(f"INSERT INTO aliases (adapter, alias, {columns}) VALUES ('support', 'default', {numbers})")
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET digest = 'x'",
        "DELETE FROM versions",
        "UPDATE alias_history SET number = 1",
        "DELETE FROM alias_history",
    ],
)
def test_versions_and_history_cannot_be_changed(
    database: Database, index: Index, aliases: Aliases, statement: str
) -> None:
    add(index)
    aliases.move("support", ["default"], 1)
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="immutable"), database.write() as session:
        session.execute(text(statement))
    assert index.versions()[0].digest == "sha256:1"


def test_a_removed_version_is_no_longer_found_and_comes_back_by_its_bytes(
    index: Index, aliases: Aliases
) -> None:
    add(index, digest="a"), add(index, digest="b")
    aliases.move("support", ["default"], 1)
    with pytest.raises(InUse, match="version 1 of adapter 'support' is what 'default' means"):
        index.remove("support", 1)
    index.pin("support", 2, by="ana"), index.pin("support", 2)
    with pytest.raises(InUse, match=r"is pinned; .*serve pin --off support@2"):
        index.remove("support", 2)
    index.unpin("support", 2)
    index.remove("support", 2, by="ana")
    assert index.by_number("support", 2) is None
    assert index.by_digest("support", "b") is None
    assert [(row.number, row.by) for row in index.tombstones()] == [(2, "ana")]
    index.remove("support", 2, by="bob")
    assert [(row.number, row.by) for row in index.tombstones()] == [(2, "ana")], "it was, and stays so"
    with pytest.raises(UnknownAdapter, match="version 2 of adapter 'support' was removed"):
        index.pin("support", 2)
    with pytest.raises(UnknownAdapter, match="version 3 of adapter 'support' does not exist"):
        index.remove("support", 3)
    with pytest.raises(UnknownAdapter, match="was removed"):
        aliases.move("support", ["canary"], 2)
    assert add(index, digest="b") == 2
    assert index.by_number("support", 2) is not None


def test_each_change_counts_and_a_refused_one_does_not(
    database: Database, index: Index, aliases: Aliases
) -> None:
    add(index)
    before = database.revision()
    aliases.move("support", ["default"], 1)
    assert database.revision() == before + 1
    with pytest.raises(AliasMoved):
        aliases.move("support", ["default"], None, expected=3)
    index.versions(), aliases.all()
    assert database.revision() == before + 1


def test_the_journal_is_safe_on_an_old_sqlite(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    with database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "delete", "synchronous": 3, "foreign_keys": 1}


def test_a_locked_database_is_one_sentence(database_url: str) -> None:
    holder, waiting = Database(database_url), Database(database_url, busy_seconds=0.2)
    with holder.write(), pytest.raises(StorageBusy, match="try again in a moment"):
        Index(waiting).add("support", NewVersion("a", 8, "b", {}))
    assert Index(waiting).add("support", NewVersion("a", 8, "b", {})).number == 1
    holder.close(), waiting.close()


def test_two_servers_that_move_one_alias_leave_a_linear_history(database_url: str) -> None:
    """Compare-and-swap loops over two connections to one database; a lost update would break the chain."""
    databases = [Database(database_url) for _ in range(2)]
    index = Index(databases[0])
    for digest in "abcd":
        add(index, digest=digest)
    finished: list[Database] = []

    def move(database: Database) -> None:
        index, aliases = Index(database), Aliases(database)
        done = 0
        while done < 10:
            pointed = index.by_alias("support", "default")
            seen = pointed.version.number if pointed else None
            try:
                aliases.move("support", ["default"], (seen or 0) % 4 + 1, seen)
                done += 1
            except AliasMoved:
                continue
        finished.append(database)

    threads = [threading.Thread(target=move, args=(one,), daemon=True) for one in databases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    moves = Aliases(databases[0]).history("support")
    for database in databases:
        database.close()
    assert len(finished) == 4
    assert len(moves) >= 10
    assert [move.previous for move in moves] == [None, *(move.number for move in moves[:-1])]


def test_threads_that_push_at_once_get_numbers_without_a_gap(index: Index) -> None:
    threads = [threading.Thread(target=add, args=(index, "support", f"d{n % 8}")) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [row.number for row in index.versions("support")] == list(range(1, 9))
