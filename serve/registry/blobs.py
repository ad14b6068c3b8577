"""Where the bytes are: immutable blobs under their digest, in a local folder or in an object store."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from data import digest as digests
from data.errors import UserError
from serve.failpoints import reach
from serve.registry.records import DamagedBlob, MissingBlob


@dataclass(frozen=True)
class Blob:
    """A blob that lies in a store: `size` in bytes, `written` the last time that somebody put it."""

    digest: str
    size: int
    written: datetime


class BlobStore(Protocol):
    """Immutable bytes under their digest, `sha256:<hex>`. Thread-safe; whole or absent."""

    def has(self, digest: str) -> bool: ...

    def put(self, digest: str, source: Path) -> None:
        """Durable on return; UserError when the bytes are not what the digest says.

        A blob that is there already counts as written now, so that no collection takes it.
        """

    def fetch(self, digest: str, target: Path) -> None:
        """Make `target`, which must not exist, a read-only file of these bytes, flushed to the disk.

        MissingBlob; DamagedBlob when the bytes are not those of the digest any more.
        """

    def read(self, digest: str) -> Iterator[bytes]:
        """The bytes in blocks; MissingBlob. Whoever needs them to be right checks them."""

    def delete(self, digest: str) -> None:
        """Absent on return, whether it was there or not."""

    def all(self) -> Iterator[Blob]: ...

    def clear(self, before: datetime) -> None:
        """Take away what crashes before then left of blobs that never were whole."""


class LocalBlobs:
    """A folder of blobs, `<first two>/<hex>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def put(self, digest: str, source: Path) -> None:
        target = self._path(digest)
        try:
            os.utime(target)
        except FileNotFoundError:
            self._write(digest, source, target)
        # Also where it was there: whoever wrote it may have died before this.
        flush_folder(target.parent)
        flush_folder(target.parent.parent)

    def _write(self, digest: str, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            copy(source, staged)
            reach("blobs.copied")
            # The copy is what is looked at: the source may have changed since somebody else did.
            if digests.of_file(staged) != digest:
                raise UserError(f"{source.name} changed while it was stored; upload it again.")
            reach("blobs.checked")
            staged.replace(target)
            reach("blobs.renamed")
        finally:
            staged.unlink(missing_ok=True)

    def fetch(self, digest: str, target: Path) -> None:
        source = self._path(digest)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise MissingBlob(missing(digest)) from None
        except FileExistsError:
            raise
        except OSError:
            # Another file system, or one without hard links.
            copy(source, target)
        check(digest, target)

    def read(self, digest: str) -> Iterator[bytes]:
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError:
            raise MissingBlob(missing(digest)) from None
        with file:
            while block := file.read(2**20):
                yield block

    def delete(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def all(self) -> Iterator[Blob]:
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if path.name.startswith("."):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another collection was first
            written = datetime.fromtimestamp(status.st_mtime, UTC)
            yield Blob(f"sha256:{path.name}", status.st_size, written)

    def clear(self, before: datetime) -> None:
        for path in self._folder.glob("[0-9a-f][0-9a-f]/.*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name


def missing(digest: str) -> str:
    return f"the bytes of {digest[:19]} are not in the blob store; push the adapter again."


def check(digest: str, fetched: Path) -> None:
    """DamagedBlob, and the file is gone, unless its bytes are those of the digest."""
    if (found := digests.of_file(fetched)) != digest:
        fetched.unlink()
        raise DamagedBlob(_damaged(digest, found))


def verify(blobs: BlobStore, digest: str) -> None:
    """Read a whole blob; MissingBlob, or DamagedBlob."""
    hashed = hashlib.sha256()
    for block in blobs.read(digest):
        hashed.update(block)
    if (found := f"sha256:{hashed.hexdigest()}") != digest:
        raise DamagedBlob(_damaged(digest, found))


def _damaged(digest: str, found: str) -> str:
    return f"the blob {digest[:19]} holds other bytes ({found[:19]}); delete it, and push the adapter again."


def copy(source: Path, target: Path) -> None:
    """A read-only copy, flushed to the disk; `target` must not exist."""
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 2**20)
        writer.flush()
        os.fchmod(writer.fileno(), 0o444)
        os.fsync(writer.fileno())


def flush_folder(folder: Path) -> None:
    """A rename is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Take a folder away. Its name goes in one step: half of it must never pass for the whole."""
    hidden = folder.with_name(f".{secrets.token_hex(16)}")
    try:
        folder.rename(hidden)
    except FileNotFoundError:
        return  # somebody else was first
    reach("discard.hidden")
    shutil.rmtree(hidden, ignore_errors=True)
