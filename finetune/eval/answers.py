"""The memory of answers on this machine: what these weights were once asked, they are not asked again."""

import sqlite3
from pathlib import Path

from data.errors import UserError
from finetune.eval.ask import Reply

_TOGETHER = 200
"""Answers in one transaction: alone, each costs as much time as its request."""


class AnswerCache:
    """Replies by key in one SQLite file, shared by all runs; several may write at the same time.

    With `forgotten`, what it knows is asked anew and replaced. Use as a context manager. Answers are written
    many at a time, and the disk is not waited for: those that a kill takes are in the run's journal, from
    which it goes on.
    """

    def __init__(self, path: Path, forgotten: bool = False) -> None:
        self._forgotten = forgotten
        self._pending: dict[str, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("PRAGMA journal_mode = PERSIST")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"the cache of answers {path} cannot be used ({error}); delete it, and it is made again, or "
                "set ENXERTO_HOME to a folder that can be written."
            ) from None

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._write()
        finally:
            self._database.close()

    def get(self, key: str) -> Reply | None:
        if self._forgotten:
            return None
        row = self._database.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return Reply.model_validate_json(row[0]) if row else None

    def add(self, key: str, reply: Reply) -> None:
        self._pending[key] = reply.model_dump_json(exclude_defaults=True)
        if len(self._pending) >= _TOGETHER:
            self._write()

    def _write(self) -> None:
        if not self._pending:
            return
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", self._pending.items())
        self._pending.clear()
