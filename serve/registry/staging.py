"""Uploads under way: what was announced, and the files that have come so far."""

import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel

from data.errors import UserError
from data.manifest import ADAPTER_FILES, FileEntry
from serve.registry.records import UnknownUpload, UploadBusy, checked_name
from serve.registry.store import BlobStore

SIZE_LIMITS = {
    "adapter_config.json": 64 * 2**10,
    "adapter_model.safetensors": 4 * 2**30,
    "manifest.json": 2**20,
}
"""Bytes of each file of an adapter."""

STALE_SECONDS = 24 * 3600
"""How long an upload may lie before a start of the server clears it away."""

_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Upload(BaseModel):
    """What the client announced; on disk, so that an upload outlives a restart of the server."""

    name: str
    files: dict[str, FileEntry]
    aliases: list[str]


class Staging:
    """A folder of uploads: `<id>/upload.json` and `<id>/files/`. Thread-safe."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._lock = threading.Lock()
        self._committing: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(left)

    def create(self, upload: Upload) -> tuple[str, list[str]]:
        """The new upload's id, which cannot be guessed, and the files to send: those not in the store."""
        _check(upload)
        identity = secrets.token_hex(16)
        files = self._folder / identity / "files"
        files.mkdir(parents=True)
        missing = []
        for name, entry in upload.files.items():
            if self._blobs.has(entry.sha256):
                self._blobs.fetch(entry.sha256, files / name)
            else:
                missing.append(name)
        (files.parent / "upload.json").write_text(upload.model_dump_json())
        return identity, missing

    def receive(self, identity: str, file: str) -> "Incoming":
        """Somewhere to write one of the announced files."""
        entry = self._read(identity).files.get(file)
        if entry is None:
            raise UserError(f"{file[:100]!r} was not announced; an adapter is {', '.join(ADAPTER_FILES)}.")
        return Incoming(self._folder / identity, file, entry)

    @contextmanager
    def commit(self, identity: str) -> Iterator[tuple[Upload, Path]]:
        """A complete upload and its files, for one caller alone; it is gone afterwards, however that ends."""
        with self._lock:
            if identity in self._committing:
                raise UploadBusy(f"upload {identity} is being committed already; wait for that answer.")
            upload = self._read(identity)
            files = self._folder / identity / "files"
            if missing := [name for name in upload.files if not (files / name).is_file()]:
                raise UserError(
                    f"{', '.join(missing)} did not come yet; send every missing file, then commit."
                )
            self._committing.add(identity)
        try:
            yield upload, files
        finally:
            shutil.rmtree(files.parent, ignore_errors=True)
            with self._lock:
                self._committing.remove(identity)

    def _read(self, identity: str) -> Upload:
        # The pattern keeps every path inside the folder.
        path = self._folder / identity / "upload.json"
        if _ID.fullmatch(identity) is None or not path.is_file():
            raise UnknownUpload(f"there is no upload {identity[:100]!r}; start a new one.")
        return Upload.model_validate_json(path.read_bytes())


class Incoming(AbstractContextManager["Incoming"]):
    """One file on its way in; nothing is left of it unless `finish` was reached."""

    def __init__(self, folder: Path, name: str, entry: FileEntry) -> None:
        self._name = name
        self._entry = entry
        self._target = folder / "files" / name
        self._part = folder / f"{name}.{secrets.token_hex(8)}"
        self._file = self._part.open("xb")
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, block: bytes) -> None:
        """Take the next bytes; UserError as soon as there are more than announced."""
        self._size += len(block)
        if self._size > self._entry.size:
            raise UserError(
                f"{self._name} is longer than the {self._entry.size} bytes announced; send it again."
            )
        self._hash.update(block)
        self._file.write(block)

    def finish(self) -> None:
        """Keep the file if it is what was announced: UserError otherwise."""
        found = f"sha256:{self._hash.hexdigest()}"
        if (self._size, found) != (self._entry.size, self._entry.sha256):
            raise UserError(
                f"{self._name} came as {self._size} bytes with {found}; announced were {self._entry.size} "
                f"bytes with {self._entry.sha256}. Send it again."
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        try:
            self._part.replace(self._target)
        except FileNotFoundError:
            raise UnknownUpload(f"the upload of {self._name} is over; start a new one.") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def _check(upload: Upload) -> None:
    checked_name(upload.name)
    for alias in upload.aliases:
        checked_name(alias, "alias")
    if sorted(upload.files) != sorted(ADAPTER_FILES):
        announced = ", ".join(sorted(upload.files))[:200] or "nothing"
        raise UserError(f"An adapter is exactly {', '.join(ADAPTER_FILES)}; announced was {announced}.")
    for name, entry in upload.files.items():
        if entry.size > SIZE_LIMITS[name]:
            raise UserError(
                f"{name} has {entry.size} bytes, where at most {SIZE_LIMITS[name]} go; make it smaller."
            )
        if _DIGEST.fullmatch(entry.sha256) is None:
            raise UserError(
                f"The sha256 of {name} is not of the form sha256:<64 hex digits>; send the file's digest."
            )
