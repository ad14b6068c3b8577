"""A registry of the first days comes along, and the tables that migrations make are those of the code."""

import sqlite3
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from serve.registry.aliases import Aliases
from serve.registry.database import Database, sqlite_url
from serve.registry.index import Index
from serve.registry.tables import Table

# What `create_all` and the triggers made before there were migrations, as SQLite kept it.
FIRST = """
CREATE TABLE adapters (name VARCHAR NOT NULL, created DATETIME NOT NULL, PRIMARY KEY (name));
CREATE TABLE alias_history (sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, adapter VARCHAR NOT NULL,
  alias VARCHAR NOT NULL, previous INTEGER, number INTEGER NOT NULL, time DATETIME NOT NULL,
  FOREIGN KEY(adapter, number) REFERENCES versions (adapter, number));
CREATE INDEX ix_alias_history_adapter ON alias_history (adapter);
CREATE TABLE versions (adapter VARCHAR NOT NULL, number INTEGER NOT NULL, digest VARCHAR NOT NULL,
  rank INTEGER NOT NULL, base_fingerprint VARCHAR NOT NULL, files JSON NOT NULL, created DATETIME NOT NULL,
  PRIMARY KEY (adapter, number), UNIQUE (adapter, digest), FOREIGN KEY(adapter) REFERENCES adapters (name));
CREATE TABLE aliases (adapter VARCHAR NOT NULL, alias VARCHAR NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY (adapter, alias),
  FOREIGN KEY(adapter, number) REFERENCES versions (adapter, number));
CREATE TRIGGER versions_no_update BEFORE update ON versions
  BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;
CREATE TRIGGER versions_no_delete BEFORE delete ON versions
  BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;
CREATE TRIGGER alias_history_no_update BEFORE update ON alias_history
  BEGIN SELECT RAISE(ABORT, 'alias_history are immutable'); END;
CREATE TRIGGER alias_history_no_delete BEFORE delete ON alias_history
  BEGIN SELECT RAISE(ABORT, 'alias_history are immutable'); END;
INSERT INTO adapters VALUES ('support', '2026-11-22 10:00:00');
INSERT INTO versions VALUES ('support', 1, 'sha256:a', 16, 'sha256:b', '{"manifest.json": "sha256:c"}',
  '2026-11-22 10:00:00');
INSERT INTO aliases VALUES ('support', 'default', 1);
INSERT INTO alias_history VALUES (7, 'support', 'default', NULL, 1, '2026-11-22 10:00:01');
"""


def test_a_registry_without_migrations_comes_along(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(FIRST)
    old.close()
    for _ in range(2):
        database = Database(sqlite_url(path))
        found = Index(database).by_alias("support", "default")
        assert found is not None
        assert (found.canary, found.weight) == (None, None)
        row = found.version
        assert (row.digest, row.size, row.pushed_by, row.provenance) == ("sha256:a", 0, None, {})
        database.close()
    database = Database(sqlite_url(path))
    aliases = Aliases(database)
    aliases.move("support", ["default"], None)
    assert [(move.sequence, move.number) for move in aliases.history()] == [(7, 1), (8, None)]
    database.close()


def test_migrations_make_the_tables_of_the_code(database_url: str) -> None:
    database = Database(database_url)
    with database.read() as session:
        found = compare_metadata(MigrationContext.configure(session.connection()), Table.metadata)
    database.close()
    assert found == []
