"""The folders that an engine loads versions from: there in full or not at all."""

import secrets
import shutil
from pathlib import Path

from data import digest as digests
from data.probes import FILE as PROBES
from serve.failpoints import reach
from serve.registry.blobs import BlobStore, discard, flush_folder

ENGINE = "engine/"
"""What stands before a file's name where the engine gets another one than was uploaded."""

COMPUTED = f"{ENGINE}{PROBES}"
"""The probes that this server computed for an adapter that came without."""


class VersionFolders:
    """`<hex>/` with a version's files, read-only, for the engine: there in full or not at all."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def discard(self, folder: Path) -> None:
        """Take a folder away; who reads its files keeps what is open."""
        discard(folder)

    def left(self, known: set[str]) -> list[Path]:
        """Folders of no version in `known` (digests), among them those that a crash left half made."""
        names = {digest.removeprefix("sha256:") for digest in known}
        return [path for path in self._folder.iterdir() if path.name not in names]

    def materialise(self, digest: str, files: dict[str, str]) -> Path:
        """The version's folder, made from the blobs of `files` (digest by name) where it is absent.

        MissingBlob or DamagedBlob where they cannot be had.
        """
        target = self.path(digest)
        if target.is_dir():
            return target
        staged = self._folder / f".{target.name}.{secrets.token_hex(8)}"
        staged.mkdir()
        try:
            reach("folders.made")
            for name, blob in for_engine(files).items():
                self._blobs.fetch(blob, staged / name)
            flush_folder(staged)
            reach("folders.filled")
            _rename_unless_there(staged, target)
            reach("folders.renamed")
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        flush_folder(self._folder)
        return target


def _rename_unless_there(staged: Path, target: Path) -> None:
    try:
        staged.rename(target)
    except OSError:
        # Somebody else was first, with the same bytes.
        if not target.is_dir():
            raise


def for_engine(files: dict[str, str]) -> dict[str, str]:
    """The digests of the files in a version's folder, by name there."""
    uploaded = {name: blob for name, blob in files.items() if not name.startswith(ENGINE)}
    own = {name.removeprefix(ENGINE): blob for name, blob in files.items() if name.startswith(ENGINE)}
    return uploaded | own


def whole(folder: Path, files: dict[str, str]) -> bool:
    """Whether a version's folder holds its files, byte for byte."""
    return all(
        (folder / name).is_file() and digests.of_file(folder / name) == blob
        for name, blob in for_engine(files).items()
    )
