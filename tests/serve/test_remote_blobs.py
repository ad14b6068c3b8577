"""Blobs in a real S3 server over HTTP: what the local folder promises, and S3's own."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from data import digest
from data.errors import UserError
from serve.registry import remote_blobs
from serve.registry.blobs import verify
from serve.registry.records import DamagedBlob, MissingBlob, StorageBusy
from serve.registry.remote_blobs import RemoteBlobs
from tests.serve import tiny

DATA = os.urandom(300_000)
DIGEST = digest.of_bytes(DATA)


@pytest.fixture
def blobs(s3_url: str) -> RemoteBlobs:
    return RemoteBlobs(s3_url)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_blob_comes_back_as_a_read_only_file(
    blobs: RemoteBlobs, source: Path, tmp_path: Path, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_parts:
        monkeypatch.setattr(remote_blobs, "AT_ONCE", 1000)
    assert not blobs.has(DIGEST)
    blobs.put(DIGEST, source)
    blobs.put(DIGEST, source)
    assert blobs.has(DIGEST)
    blobs.fetch(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o444
    assert b"".join(blobs.read(DIGEST)) == DATA
    (listed,) = blobs.all()
    assert (listed.digest, listed.size) == (DIGEST, len(DATA))
    blobs.delete(DIGEST), blobs.delete(DIGEST)
    assert not blobs.has(DIGEST)


def test_a_blob_that_is_there_is_not_written_over(
    blobs: RemoteBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers that put one blob at once: S3 itself refuses the second."""
    blobs.put(DIGEST, source)
    written = next(iter(blobs.all())).written
    monkeypatch.setattr(RemoteBlobs, "_head", lambda *_: None)
    answers: list[Any] = []
    put = obstore.put

    def spy(*arguments: Any, **options: Any) -> Any:
        answers.append(options.get("mode"))
        return put(*arguments, **options)

    monkeypatch.setattr(obstore, "put", spy)
    blobs.put(DIGEST, source)
    assert answers == ["create"]
    assert next(iter(blobs.all())).written == written


def test_an_old_blob_is_written_again_so_that_no_collection_takes_it(
    blobs: RemoteBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(DIGEST, source)
    monkeypatch.setattr(remote_blobs, "FRESH", timedelta(seconds=-5))
    before = datetime.now(UTC).replace(microsecond=0)
    blobs.put(DIGEST, source)
    assert next(iter(blobs.all())).written >= before


def test_other_bytes_under_a_digest_are_found(blobs: RemoteBlobs, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="changed while it was stored"):
        blobs.put(digest.of_bytes(b"other"), source)
    assert list(blobs.all()) == []
    obstore.put(blobs._store, remote_blobs._path(DIGEST), b"other")
    for look in (lambda: blobs.fetch(DIGEST, tmp_path / "copy"), lambda: verify(blobs, DIGEST)):
        with pytest.raises(DamagedBlob, match="holds other bytes"):
            look()
    assert not (tmp_path / "copy").exists()


def test_what_is_not_there_is_said(blobs: RemoteBlobs, tmp_path: Path) -> None:
    with pytest.raises(MissingBlob, match="not in the blob store"):
        blobs.fetch(DIGEST, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("url", ["s3://", "gs://bucket", "s3://bucket?secret=1", "ftp://x/y"])
def test_what_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(UserError):
        RemoteBlobs(url)


def test_a_store_that_is_away_is_one_sentence(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    away = RemoteBlobs("s3://bucket/x?endpoint=http://127.0.0.1:9", retries=0)
    with pytest.raises(StorageBusy, match="the blob store did not answer"):
        away.has(DIGEST)


def test_a_registry_on_s3_and_postgresql(tmp_path: Path, s3_url: str, postgres_url: str) -> None:
    """Two servers on two machines: no folder in common."""
    base = tiny.make_base(tmp_path / "base")
    here, there = (
        tiny.make_registry(tmp_path / name, base, database=postgres_url, blobs=s3_url)
        for name in ("here", "there")
    )
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    here.add("support", tiny.check_adapter(adapter, base))
    here.set_alias("support", "default", 1)
    found = there.resolve("support")
    there.make_ready(found)
    assert (found.folder / tiny.WEIGHTS).read_bytes() == (adapter / tiny.WEIGHTS).read_bytes()
    assert found.folder.is_relative_to(tmp_path / "there")
    here.close(), there.close()
