"""Where the bytes are: blobs by digest, and the version folders that an engine loads from.

Everything is whole or absent: written beside its place, flushed to the disk, renamed.
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Protocol

from data import digest as digests
from data.errors import UserError


class BlobStore(Protocol):
    """Immutable bytes under their digest, `sha256:<hex>`. Thread-safe."""

    def has(self, digest: str) -> bool: ...

    def put(self, digest: str, source: Path) -> None:
        """Durable on return; UserError when the bytes are not what the digest says."""

    def fetch(self, digest: str, target: Path) -> None:
        """Make `target`, which must not exist, a read-only file of these bytes, flushed to the disk."""


class LocalBlobs:
    """A folder of blobs, `<first two>/<hex>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def put(self, digest: str, source: Path) -> None:
        target = self._path(digest)
        if target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            _copy(source, staged)
            # The copy is what is looked at: the source may have changed since somebody else did.
            if digests.of_file(staged) != digest:
                raise UserError(f"{source.name} changed while it was stored; upload it again.")
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
        _flush_folder(target.parent)
        _flush_folder(target.parent.parent)

    def fetch(self, digest: str, target: Path) -> None:
        source = self._path(digest)
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            # Another file system, or one without hard links.
            _copy(source, target)

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name


class VersionFolders:
    """`<hex>/` with a version's files, read-only, for the engine: there in full or not at all."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def materialise(self, digest: str, files: dict[str, str]) -> Path:
        """The version's folder, made from the blobs of `files` (digest by name) where it is absent."""
        target = self.path(digest)
        if target.is_dir():
            return target
        staged = self._folder / f".{target.name}.{secrets.token_hex(8)}"
        staged.mkdir()
        try:
            for name, blob in files.items():
                self._blobs.fetch(blob, staged / name)
            _flush_folder(staged)
            _rename_unless_there(staged, target)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        _flush_folder(self._folder)
        return target


def _rename_unless_there(staged: Path, target: Path) -> None:
    try:
        staged.rename(target)
    except OSError:
        # Somebody else was first, with the same bytes.
        if not target.is_dir():
            raise


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 2**20)
        writer.flush()
        os.fchmod(writer.fileno(), 0o444)
        os.fsync(writer.fileno())


def _flush_folder(folder: Path) -> None:
    """A rename is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
