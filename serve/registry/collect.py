"""Garbage: bytes that no version names any more, and what uploads and crashes left behind."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.failpoints import reach
from serve.registry.blobs import Blob
from serve.registry.staging import STALE_SECONDS
from serve.registry.storage import Storage
from serve.registry.tables import TombstoneRow, VersionRow

GRACE = timedelta(days=7)
"""How long a removed version can be had back by pushing it again without sending its bytes."""

UNNAMED = timedelta(hours=1)
"""How long a blob may lie that no version names: an upload may be about to."""

UNFINISHED = timedelta(seconds=STALE_SECONDS)

_BATCH = 100  # blobs under one lock of the index: writers wait for it


@dataclass(frozen=True)
class Collected:
    """What went: `blobs` with `bytes` in all, `folders` of versions, `uploads` that nobody went on with."""

    blobs: int
    bytes: int
    folders: int
    uploads: int


def collect(
    storage: Storage,
    grace: timedelta = GRACE,
    unnamed: timedelta = UNNAMED,
    unfinished: timedelta = UNFINISHED,
) -> Collected:
    """Delete what nothing needs, uploads among it that nobody touched for as long as `unfinished`.

    Safe beside servers that take uploads, and beside another collection. A version is added under the index's
    lock, after a look at its blobs; a blob goes under the same lock, after a look at the versions. So neither
    can miss the other.
    """
    uploads = storage.staging.clear(unfinished.total_seconds())
    reach("collect.cleared")
    before = datetime.now(UTC) - unnamed
    storage.blobs.clear(before)
    old = (blob for blob in storage.blobs.all() if blob.written < before)
    gone: list[Blob] = []
    while batch := list(islice(old, _BATCH)):
        reach("collect.listed")
        with storage.database.write(counts=False) as session:
            needed = _needed(session, grace)
            for blob in batch:
                if blob.digest not in needed:
                    storage.blobs.delete(blob.digest)
                    reach("collect.deleted")
                    gone.append(blob)
        reach("collect.unlocked")
    folders = 0
    for left in _idle_folders(storage, grace, before):
        storage.folders.discard(left)
        reach("collect.folder")
        folders += 1
    return Collected(len(gone), sum(blob.size for blob in gone), folders, uploads)


def _needed(session: Session, grace: timedelta) -> set[str]:
    """Digests of the blobs of every version that is there, or was until a while ago."""
    since = datetime.now(UTC) - grace
    buried = {(row.adapter, row.number) for row in session.scalars(select(TombstoneRow)) if row.time <= since}
    needed: set[str] = set()
    for row in session.scalars(select(VersionRow)):
        if (row.adapter, row.number) not in buried:
            needed.update(row.files.values())
    return needed


def _idle_folders(storage: Storage, grace: timedelta, before: datetime) -> Iterator[Path]:
    """Folders of versions that are gone and in no engine, and half-made ones of long ago."""
    since = datetime.now(UTC) - grace
    buried = {(row.adapter, row.number) for row in storage.index.tombstones() if row.time <= since}
    loaded = storage.servers.loaded()
    kept = {
        row.digest
        for row in storage.index.versions()
        if (row.adapter, row.number) not in buried or f"{row.adapter}@{row.number}" in loaded
    }
    for left in storage.folders.left(kept):
        with suppress(FileNotFoundError):  # another collection was first
            if datetime.fromtimestamp(left.stat().st_mtime, UTC) < before:
                yield left
