"""Blobs and version folders: whole or absent, read-only, what their digest says."""

import os
import stat
from pathlib import Path

import pytest

from data import digest
from data.errors import UserError
from serve.registry.blobs import LocalBlobs
from serve.registry.folders import VersionFolders
from serve.registry.records import MissingBlob

DATA = b"weights"
DIGEST = digest.of_bytes(DATA)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_blob_comes_back_as_a_read_only_file(blobs: LocalBlobs, source: Path, tmp_path: Path) -> None:
    assert not blobs.has(DIGEST)
    blobs.put(DIGEST, source)
    blobs.put(DIGEST, source)
    assert blobs.has(DIGEST)
    source.write_bytes(b"changed afterwards")
    blobs.fetch(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o444


def test_bytes_that_are_not_what_the_digest_says_leave_nothing(
    blobs: LocalBlobs, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="changed while it was stored"):
        blobs.put(digest.of_bytes(b"other"), source)
    assert files_under(tmp_path / "blobs") == []


def test_a_crash_while_copying_leaves_no_blob(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="no space"):
        blobs.put(DIGEST, source)
    assert not blobs.has(DIGEST)


def test_a_blob_is_flushed_before_it_gets_its_name(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    flush, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("flush"), flush(number))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (events.append("rename"), rename(path, to))[1])
    blobs.put(DIGEST, source)
    assert events == ["flush", "rename", "flush", "flush"]


def test_a_version_folder_is_made_once_and_only_whole(
    blobs: LocalBlobs, source: Path, tmp_path: Path
) -> None:
    folders = VersionFolders(tmp_path / "versions", blobs)
    version = "sha256:" + "0" * 64
    with pytest.raises(MissingBlob):
        folders.materialise(version, {"a": DIGEST})
    assert list((tmp_path / "versions").iterdir()) == []
    blobs.put(DIGEST, source)
    made = folders.materialise(version, {"a": DIGEST, "b": DIGEST})
    assert made == tmp_path / "versions" / ("0" * 64)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == {"a": DATA, "b": DATA}
    assert folders.materialise(version, {"a": DIGEST, "b": DIGEST}) == made
    assert list((tmp_path / "versions").iterdir()) == [made]


def test_a_store_without_hard_links_copies(
    blobs: LocalBlobs, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    blobs.put(DIGEST, source)
    monkeypatch.setattr(os, "link", no_links)
    blobs.fetch(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert (tmp_path / "copy").stat().st_nlink == 1


def test_a_listing_goes_on_where_a_blob_goes_meanwhile(blobs: LocalBlobs, tmp_path: Path) -> None:
    """Another collection, beside this one."""
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    paths = [tmp_path / "blobs" / "ab" / f"ab{number}" for number in range(3)]
    for path in paths:
        path.write_bytes(DATA)
    listed = blobs.all()
    first = next(listed)
    for path in paths:
        if not first.digest.endswith(path.name):
            path.unlink()
    assert list(listed) == []
