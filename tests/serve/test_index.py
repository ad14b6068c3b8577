"""The index: immutable versions, aliases by compare-and-swap, a history without gaps."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from serve.registry.index import Index
from serve.registry.records import AliasMoved, UnknownAdapter


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.sqlite")
    yield index
    index.close()


def add(index: Index, name: str = "support", digest: str = "sha256:1") -> int:
    return index.add(name, digest, 8, "sha256:base", {"manifest.json": digest}).number


def test_numbers_count_per_adapter_and_the_same_digest_is_the_same_version(index: Index) -> None:
    assert [add(index, digest=digest) for digest in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert add(index, "other", "a") == 1
    assert index.names() == ["other", "support"]
    assert [(row.adapter, row.number) for row in index.versions()] == [
        ("other", 1), ("support", 1), ("support", 2), ("support", 3)
    ]  # fmt: skip


def test_a_version_is_found_in_every_way(index: Index) -> None:
    add(index, digest="a"), add(index, digest="b")
    index.move("support", ["canary"], 2)
    for row in (
        index.by_number("support", 2),
        index.by_digest("support", "b"),
        index.by_alias("support", "canary"),
    ):
        assert row is not None
        assert (row.number, row.digest, row.files) == (2, "b", {"manifest.json": "b"})
        assert abs((datetime.now(UTC) - row.created).total_seconds()) < 60
    assert index.by_alias("support", "default") is None
    assert index.by_number("other", 1) is None


def test_what_was_written_is_there_after_a_restart(index: Index, tmp_path: Path) -> None:
    add(index)
    index.move("support", ["default"], 1)
    again = Index(tmp_path / "index.sqlite")
    found = again.by_alias("support", "default")
    again.close()
    assert found is not None
    assert found.number == 1


def test_an_alias_moves_only_from_where_it_was_expected(index: Index) -> None:
    add(index, digest="a"), add(index, digest="b"), add(index, digest="c")
    index.move("support", ["default"], 1, expected=None)
    with pytest.raises(AliasMoved, match="points to version 1, where no version was expected"):
        index.move("support", ["default"], 2, expected=None)
    with pytest.raises(AliasMoved, match="points to version 1, where version 3 was expected"):
        index.move("support", ["default"], 2, expected=3)
    index.move("support", ["default"], 2, expected=1)
    index.move("support", ["default"], 3)
    index.move("support", ["default"], 3, expected=2)
    moves = index.history("support")
    assert [(move.sequence, move.alias, move.previous, move.number) for move in moves] == [
        (1, "default", None, 1), (2, "default", 1, 2), (3, "default", 2, 3)
    ]  # fmt: skip


def test_several_aliases_move_together_or_not_at_all(index: Index) -> None:
    add(index, digest="a"), add(index, digest="b")
    index.move("support", ["canary"], 1)
    with pytest.raises(AliasMoved):
        index.move("support", ["default", "canary"], 2, expected=None)
    assert [(row.alias, row.number) for row in index.aliases("support")] == [("canary", 1)]
    index.move("support", ["default", "canary"], 2)
    assert [(row.alias, row.number) for row in index.aliases("support")] == [("canary", 2), ("default", 2)]


def test_an_alias_cannot_point_to_a_version_that_is_not_there(index: Index) -> None:
    add(index)
    with pytest.raises(UnknownAdapter, match="no version 2"):
        index.move("support", ["default"], 2)
    with pytest.raises(sqlalchemy.exc.IntegrityError), index._writers.begin() as connection:
        connection.execute(text("INSERT INTO aliases VALUES ('support', 'default', 2)"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET digest = 'x'",
        "DELETE FROM versions",
        "UPDATE alias_history SET number = 1",
        "DELETE FROM alias_history",
    ],
)
def test_versions_and_history_cannot_be_changed(index: Index, statement: str) -> None:
    add(index)
    index.move("support", ["default"], 1)
    with (
        pytest.raises(sqlalchemy.exc.IntegrityError, match="immutable"),
        index._writers.begin() as connection,
    ):
        connection.execute(text(statement))


def test_the_journal_is_safe_on_an_old_sqlite(index: Index) -> None:
    with index._readers.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1}


def test_two_servers_that_move_one_alias_leave_a_linear_history(tmp_path: Path) -> None:
    """Compare-and-swap loops over two indexes of one file; a lost update would break the chain."""
    indexes = [Index(tmp_path / "index.sqlite") for _ in range(2)]
    for digest in "abcd":
        add(indexes[0], digest=digest)

    finished: list[Index] = []

    def move(index: Index) -> None:
        done = 0
        while done < 10:
            row = index.by_alias("support", "default")
            seen = row.number if row else None
            try:
                index.move("support", ["default"], (seen or 0) % 4 + 1, seen)
                done += 1
            except AliasMoved:
                continue
        finished.append(index)

    threads = [threading.Thread(target=move, args=(index,), daemon=True) for index in indexes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    moves = indexes[0].history("support")
    for index in indexes:
        index.close()
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
