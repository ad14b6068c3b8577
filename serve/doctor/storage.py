"""The registry's database and blob store: reachable, and as safe as they must be. Nothing is written."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from data.errors import UserError, shown
from serve.doctor.finding import Finding, ok, problem

SAFE_WAL = (3, 51, 3)
"""Before it, a race at the reset of the write-ahead log can corrupt a database."""

CONNECT_SECONDS = 5


def findings(folder: Path, database: str | None, blobs: str | None) -> Iterator[Finding]:
    yield from _database(folder, database)
    yield _remote(blobs) if blobs and "://" in blobs else _folder("blobs", Path(blobs or folder / "blobs"))


def _database(folder: Path, url: str | None) -> Iterator[Finding]:
    if url is None or url.startswith("sqlite"):
        yield _journal()
        yield _sqlite(Path(url.partition(":///")[2]) if url else folder / "index.sqlite")
    elif urlsplit(url).scheme.startswith("postgres"):
        yield _postgres(url)
    else:
        yield problem(
            "database",
            f"{shown(urlsplit(url).scheme)!r} is no database of a registry; give postgresql://HOST/NAME.",
        )


def _journal() -> Finding:
    number = ".".join(map(str, sqlite3.sqlite_version_info))
    why = "" if sqlite3.sqlite_version_info >= SAFE_WAL else " (before 3.51.3 a write-ahead log can corrupt)"
    return ok("sqlite", f"SQLite {number} with the rollback journal{why}: one writer at a time.")


def _sqlite(file: Path) -> Finding:
    if not file.exists():
        return _folder("database", file.parent, f"{file.name} is made")
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        return problem("database", f"{file} is not writable by this user; give it to the one who serves.")
    try:
        with closing(
            sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=CONNECT_SECONDS)
        ) as connection:
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        return problem("database", f"{file} cannot be read ({error}); restore it, or see `serve fsck`.")
    if journal == "wal" and sqlite3.sqlite_version_info < SAFE_WAL:
        return problem(
            "database", f"{file} is in WAL mode, which this SQLite can corrupt; start `serve up` once."
        )
    if found and (newer := _newer(found[0])):
        return newer
    return ok("database", f"{file}, {len(tables)} tables and indices, {file.stat().st_size / 1e6:.1f} MB.")


def _postgres(url: str) -> Finding:
    import psycopg

    parts = urlsplit(url)
    place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
    try:
        plain = parts._replace(scheme="postgresql").geturl()
        with psycopg.connect(plain, connect_timeout=CONNECT_SECONDS) as connection:
            number = connection.info.server_version // 10_000
            made = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
            found = (
                made and made[0] and connection.execute("SELECT version_num FROM alembic_version").fetchone()
            )
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        return problem("database", f"PostgreSQL at {place} does not let us in: {shown(said, 200)}")
    if found and (newer := _newer(found[0])):
        return newer
    return ok("database", f"PostgreSQL {number} at {place}.")


def _newer(revision: str) -> Finding | None:
    versions = Path(__file__).parents[1] / "registry" / "migrations" / "versions"
    if any(path.stem.startswith(revision) for path in versions.glob("[0-9]*.py")):
        return None
    return problem(
        "database", f"It was brought to {revision!r} by a newer version of this program; update it."
    )


def _folder(about: str, folder: Path, what: str = "is used") -> Finding:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return problem(
            about, f"{there} is not a folder that this user can write in; choose another with --registry."
        )
    return ok(about, f"{folder}{'' if folder == there else ', which is made'}; {what} there.")


def _remote(url: str) -> Finding:
    from serve.registry.remote_blobs import RemoteBlobs

    place = url.partition("?")[0]
    try:
        next(RemoteBlobs(url, retries=0).all(), None)
    except UserError as error:
        return problem("blobs", f"{place}: {error}")
    return ok("blobs", f"{place} answers.")
