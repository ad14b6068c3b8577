"""Uploads under way: what was announced, and the bytes that have come so far."""

import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel

from data.errors import UserError
from data.manifest import FileEntry
from serve.failpoints import reach
from serve.registry.blobs import BlobStore, discard
from serve.registry.records import (
    OffsetMoved,
    StorageBusy,
    StorageFull,
    UnknownUpload,
    UploadBusy,
    UploadIncomplete,
    checked_name,
)
from serve.registry.validate import check_names

SIZE_LIMITS = {
    "adapter_config.json": 64 * 2**10,
    "adapter_model.safetensors": 4 * 2**30,
    "manifest.json": 2**20,
    "README.md": 2**20,
    "probes.json": 8 * 2**20,
    "report.json": 16 * 2**20,
}
"""Bytes of each file of an adapter."""

STALE_SECONDS = 24 * 3600
"""How long an upload may lie untouched before it is cleared away."""

MAX_OPEN = 256
"""Uploads under way at a time."""

MAX_OF_KEY = 16
"""Of one key among them: what it leaves lying keeps nobody else out."""

SPARE_BYTES = 256 * 2**20
"""What stays free on the disk of the staging folder when an upload is let in."""

_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Upload(BaseModel):
    """What the client announced; on disk, so that an upload outlives a restart of the server."""

    name: str
    files: dict[str, FileEntry]
    aliases: list[str]
    allow_noop: bool = False
    by: str | None = None


class Staging:
    """A folder of uploads: `<id>/upload.json`, `<id>/files/` and `<id>/parts/`. Thread-safe."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._busy: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self.clear()

    def clear(self, older_than: float = STALE_SECONDS) -> int:
        """Take away what nobody has touched for so many seconds; returns how many uploads went."""
        cleared = 0
        for left in self._folder.iterdir():
            if _touched(left) < time.time() - older_than and not self._in_use(left.name):
                discard(left)
                cleared += 1
        return cleared

    def create(self, upload: Upload, known: Callable[[str], bool] | None = None) -> tuple[str, list[str]]:
        """The new upload's id, which cannot be guessed, and the files to send: those not in the store.

        `known` says of a digest whether who uploads may have its bytes: others count as not there, since a
        digest alone must not tell what is here, nor bring it.
        """
        _check(upload)
        identity = secrets.token_hex(16)
        made = self._folder / f".{identity}"
        missing = []
        try:
            with self._opening:  # one at a time, or two take the same last place
                self._require_room(upload)
                (made / "files").mkdir(parents=True)
                (made / "parts").mkdir()
                (made / "upload.json").write_text(upload.model_dump_json())
            reach("staging.made")
            for name, entry in upload.files.items():
                if not (known is None or known(entry.sha256)) or not self._blobs.has(entry.sha256):
                    missing.append(name)
                    continue
                self._blobs.fetch(entry.sha256, made / "files" / name)
                # Who lies here would have a file of any size read as one that is known to be small.
                if (size := _size(made / "files" / name)) != entry.size:
                    raise UserError(
                        f"{name} has {size} bytes, not the {entry.size} announced; send its own size."
                    )
            made.rename(self._folder / identity)
            reach("staging.announced")
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return identity, missing

    def _require_room(self, upload: Upload) -> None:
        """UploadBusy, or StorageFull by what all others under way may still send."""
        others = [one for folder in self._folder.iterdir() if (one := _open(folder)) is not None]
        own = sum(one.by == upload.by for one, _ in others)
        if own >= MAX_OF_KEY or len(others) >= MAX_OPEN:
            whose = f"of the key {upload.by!r} " if own >= MAX_OF_KEY else ""
            raise UploadBusy(
                f"{own if whose else len(others)} uploads {whose}are under way, as many as may be; end one "
                "with `serve uploads rm`, `serve uploads ls` lists them."
            )
        size = sum(entry.size for entry in upload.files.values())
        promised = sum(owed for _, owed in others)
        free = shutil.disk_usage(self._folder).free
        if size + promised + SPARE_BYTES > free:
            raise StorageFull(
                f"The adapter has {size} bytes, and of {free} free ones on the registry's disk {promised} "
                f"are for uploads under way and {SPARE_BYTES} stay free; make room, as with `serve gc`."
            )

    def all(self) -> list[tuple[str, Upload, float]]:
        """Every upload under way: its id, what was announced, and when it was last touched."""
        ids = sorted(left.name for left in self._folder.iterdir() if _ID.fullmatch(left.name))
        found = ((identity, _open(self._folder / identity)) for identity in ids)
        return [(name, one[0], _touched(self._folder / name)) for name, one in found if one is not None]

    def end(self, identity: str) -> None:
        """Give an upload up; UploadBusy while it is being committed."""
        self.announced(identity)
        self._claim(identity, f"upload {identity} is being committed; wait for that answer.")
        try:
            discard(self._folder / identity)
        finally:
            self._release(identity)

    def progress(self, identity: str) -> tuple[Upload, dict[str, int], list[str]]:
        """What was announced, how many bytes of each file are here, and the files that are not finished.

        All bytes of an unfinished file may be here: what sent the last of them did not hear of it.
        """
        upload, folder = self.announced(identity), self._folder / identity
        missing = [name for name in upload.files if not (folder / "files" / name).is_file()]
        received = {
            name: _size(folder / ("parts" if name in missing else "files") / name) for name in upload.files
        }
        return upload, received, missing

    def receive(self, identity: str, file: str, offset: int = 0) -> "Incoming":
        """Somewhere to write one of the announced files from byte `offset` on; 0 begins it again.

        OffsetMoved unless `offset` is 0 or what is here; UploadBusy while somebody else sends this file.
        """
        entry = self.announced(identity).files.get(file)
        if entry is None:
            raise UserError(f"{file[:100]!r} was not announced; send the files that were.")
        claim = f"{identity}/{file}"
        self._claim(
            claim, f"{file} of upload {identity} is being sent by another request; wait for it to end."
        )
        try:
            return Incoming(self._folder / identity, file, entry, offset, lambda: self._release(claim))
        except BaseException as error:
            self._release(claim)
            if isinstance(error, FileNotFoundError):
                raise UnknownUpload(f"the upload of {file} is over; start a new one.") from None
            raise

    @contextmanager
    def commit(self, identity: str) -> Iterator[tuple[Upload, Path]]:
        """A complete upload and its files, for one caller alone; it is gone afterwards.

        It stays where the caller failed for want of room or time: the same commit may succeed later.
        """
        upload = self.announced(identity)
        files = self._folder / identity / "files"
        self._claim(identity, f"upload {identity} is being committed already; wait for that answer.")
        try:
            if missing := [name for name in upload.files if not (files / name).is_file()]:
                raise UploadIncomplete(
                    f"{', '.join(missing)} did not come yet; send every missing file, then commit."
                )
            yield upload, files
        except (UploadIncomplete, OSError, StorageBusy, StorageFull):
            raise
        except BaseException:
            discard(files.parent)
            raise
        else:
            discard(files.parent)
        finally:
            self._release(identity)

    def announced(self, identity: str) -> Upload:
        """What the upload will be; UnknownUpload."""
        try:
            # The pattern keeps every path inside the folder.
            if _ID.fullmatch(identity) is None:
                raise FileNotFoundError
            return Upload.model_validate_json((self._folder / identity / "upload.json").read_bytes())
        except FileNotFoundError:
            raise UnknownUpload(f"there is no upload {identity[:100]!r}; start a new one.") from None

    def _in_use(self, identity: str) -> bool:
        """Whether it is being committed, or a file of it being sent."""
        with self._lock:
            return any(claim.partition("/")[0] == identity for claim in self._busy)

    def _claim(self, claim: str, why: str) -> None:
        with self._lock:
            if claim in self._busy:
                raise UploadBusy(why)
            self._busy.add(claim)

    def _release(self, claim: str) -> None:
        with self._lock:
            self._busy.discard(claim)


class Incoming(AbstractContextManager["Incoming"]):
    """One file on its way in. What came stays when the sender goes away, and goes when it is wrong."""

    def __init__(
        self, folder: Path, name: str, entry: FileEntry, offset: int, released: Callable[[], None]
    ) -> None:
        self._name, self._entry, self._released = name, entry, released
        self._target = folder / "files" / name
        self._part = folder / "parts" / name
        here = _size(self._part)
        if offset not in (0, here):
            raise OffsetMoved(f"{name} stands at byte {here}, not {offset}; go on from there, or from 0.")
        self._hash = hashlib.sha256()
        # Unbuffered: what came is on the disk, for who asks how far it is.
        self._file = self._part.open("r+b" if offset else "w+b", buffering=0)
        while block := self._file.read(2**20):
            self._hash.update(block)
        self._size = offset

    def expect(self, length: int | None) -> None:
        """UserError when a body of so many bytes cannot be what is still to come."""
        if length is not None and length != self._entry.size - self._size:
            raise UserError(
                f"The body has {length} bytes, and {self._entry.size - self._size} of {self._name} are still "
                "to come; send exactly those."
            )

    def write(self, block: bytes) -> None:
        """Take the next bytes; UserError as soon as there are more than announced, UnknownUpload once the
        upload was ended: a file that has no name any more still takes room."""
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise UnknownUpload(f"the upload of {self._name} is over; start a new one.")
        self._size += len(block)
        if self._size > self._entry.size:
            self._part.unlink(missing_ok=True)
            raise UserError(
                f"{self._name} is longer than the {self._entry.size} bytes announced; send it again."
            )
        self._hash.update(block)
        self._file.write(block)
        reach("staging.block")

    def finish(self) -> None:
        """Keep the file if it is what was announced: UserError otherwise."""
        found = f"sha256:{self._hash.hexdigest()}"
        if (self._size, found) != (self._entry.size, self._entry.sha256):
            self._part.unlink(missing_ok=True)
            raise UserError(
                f"{self._name} came as {self._size} bytes with {found}; announced were {self._entry.size} "
                f"bytes with {self._entry.sha256}. Send it again."
            )
        reach("staging.received")
        os.fsync(self._file.fileno())
        reach("staging.flushed")
        try:
            self._part.replace(self._target)
            reach("staging.placed")
        except FileNotFoundError:
            raise UnknownUpload(f"the upload of {self._name} is over; start a new one.") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # which writes what is left, and fails where the disk is full
        finally:
            self._released()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open(folder: Path) -> tuple[Upload, int] | None:
    """An upload, also one that is just being made, and how many of its bytes are still to come."""
    try:
        upload = Upload.model_validate_json((folder / "upload.json").read_bytes())
    except (OSError, ValueError):
        return None
    here = sum(_size(folder / part / name) for name in upload.files for part in ("parts", "files"))
    return upload, max(0, sum(entry.size for entry in upload.files.values()) - here)


def _touched(folder: Path) -> float:
    """When anything in it last changed: a file that grows does not touch its folder."""
    times = [0.0]
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def _check(upload: Upload) -> None:
    checked_name(upload.name)
    for alias in upload.aliases:
        checked_name(alias, "alias")
    check_names(upload.files.keys())
    for name, entry in upload.files.items():
        if entry.size > SIZE_LIMITS[name]:
            raise UserError(
                f"{name} has {entry.size} bytes, where at most {SIZE_LIMITS[name]} go; make it smaller."
            )
        if _DIGEST.fullmatch(entry.sha256) is None:
            raise UserError(
                f"The sha256 of {name} is not of the form sha256:<64 hex digits>; send the file's digest."
            )
