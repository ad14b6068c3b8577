"""A small disk that is really full: 507, nothing broken, and all goes on once there is room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from data.manifest import ADAPTER_FILES
from serve.registry import staging
from serve.registry.collect import GRACE, UNFINISHED, collect
from serve.registry.database import sqlite_url
from tests.serve import tiny
from tests.serve.test_adapter_routes import announce, error, push, upload
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import PATIENCE

CHAT = "/v1/chat/completions"
NAME = "/v1/adapters/support"
FULL = (507, "storage_full")


@pytest.fixture(params=[2])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty file system of so many MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({mounted.stderr.decode().strip()})")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not one byte is free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@pytest.fixture
def adapters(tmp_path: Path, base: Base) -> list[Path]:
    return [tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed) for seed in range(3)]


@pytest.fixture(params=["index", "blobs", "staging and folders", "all"])
def on_disk(request: pytest.FixtureRequest) -> str:
    """What lies on the small disk."""
    return str(request.param)


@pytest.fixture
def server(
    disk: Path, tmp_path: Path, base: Base, on_disk: str, monkeypatch: pytest.MonkeyPatch
) -> TinyServer:
    monkeypatch.setattr(staging, "SPARE_BYTES", 0)

    def place(what: str) -> Path:
        return disk if on_disk in (what, "all") else tmp_path

    return tiny.make_server(
        place("staging and folders") / "registry",
        base,
        database=sqlite_url(place("index") / "index.sqlite"),
        blobs=str(place("blobs") / "blobs"),
    )


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client,
    ):
        yield client
    server.registry.close()


def test_a_commit_is_507_and_the_same_commit_succeeds_later(
    http: httpx.Client, adapters: list[Path], disk: Path
) -> None:
    push(http, adapters[0], ["default"])
    identity = upload(http, adapters[1], ["default"])
    with full(disk):
        error(http.post(f"/v1/uploads/{identity}/commit"), *FULL)
        assert chat(http) == "support@1 heard hello"
        assert http.get(NAME).json()["aliases"] == {"default": 1}
        assert problems(http) == []
    assert http.post(f"/v1/uploads/{identity}/commit").json()["version"] == 2
    assert chat(http) == "support@2 heard hello"
    assert problems(http) == []
    sent = http.get(f"{NAME}/versions/2/files/{tiny.WEIGHTS}")
    assert sent.content == (adapters[1] / tiny.WEIGHTS).read_bytes()


@pytest.mark.parametrize("on_disk", ["staging and folders"], indirect=True)
def test_an_upload_is_507_and_goes_on_later(http: httpx.Client, adapters: list[Path], disk: Path) -> None:
    body = announce(adapters[0], ["default"])
    identity = http.post(f"{NAME}/uploads", json=body).json()["upload"]
    with full(disk):
        error(http.post(f"{NAME}/uploads", json=body), *FULL)
        for name in ADAPTER_FILES:
            sent = http.put(f"/v1/uploads/{identity}/{name}", content=(adapters[0] / name).read_bytes())
            error(sent, *FULL)
    known = http.get(f"/v1/uploads/{identity}").json()
    assert set(known["missing"]) == set(ADAPTER_FILES)
    for name in known["missing"]:
        offset = known["received"][name]
        content = (adapters[0] / name).read_bytes()[offset:]
        assert http.put(f"/v1/uploads/{identity}/{name}?offset={offset}", content=content).status_code == 204
    assert http.post(f"/v1/uploads/{identity}/commit").json()["version"] == 1


@pytest.mark.parametrize("on_disk", ["index", "all"], indirect=True)
def test_no_change_of_the_index_is_made_by_half(http: httpx.Client, adapters: list[Path], disk: Path) -> None:
    for adapter in adapters:
        push(http, adapter, ["default"])
    before = http.get(NAME).json()
    changes: list[tuple[str, str, Any]] = [
        ("PUT", f"{NAME}/aliases/default", {"version": 1}),
        ("POST", f"{NAME}/aliases/default/rollback", None),
        ("PUT", f"{NAME}/versions/1/pin", None),
        ("DELETE", f"{NAME}/versions/2", None),
        ("POST", "/v1/keys", {"name": "ana", "scopes": ["chat"]}),
    ]
    with full(disk):
        for method, path, body in changes:
            error(http.request(method, path, json=body), *FULL)
        assert http.get(NAME).json() == before
        assert problems(http) == []
    for method, path, body in changes:
        assert http.request(method, path, json=body).is_success
    assert problems(http) == []


@pytest.mark.parametrize("on_disk", ["all"], indirect=True)
def test_garbage_is_collected_on_a_full_disk(
    http: httpx.Client, adapters: list[Path], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the message of a full disk says to do must be possible."""
    monkeypatch.setattr(collect, "__defaults__", (GRACE, timedelta(0), UNFINISHED))
    for adapter in adapters[:2]:
        push(http, adapter, ["default"])
    assert http.delete(f"{NAME}/versions/1").is_success
    with full(disk):
        collected = http.post("/v1/registry/gc?days=0")
        assert collected.json()["blobs"] > 0
        assert shutil.disk_usage(disk).free > 0


@pytest.mark.parametrize("on_disk", ["staging and folders"], indirect=True)
def test_a_version_that_found_no_room_is_no_worse_for_it(
    http: httpx.Client, adapters: list[Path], disk: Path, server: TinyServer, base: Base
) -> None:
    """One that came by another server, and so has no folder here yet."""
    version = server.registry.add("support", tiny.check_adapter(adapters[0], base))
    server.registry.storage.folders.discard(version.folder)
    move = {"version": 1}
    with full(disk):
        error(http.put(f"{NAME}/aliases/default", json=move), *FULL)
        error(http.post(CHAT, json=question("support@1")), *FULL)
    assert chat(http, "support@1") == "support@1 heard hello"
    assert http.put(f"{NAME}/aliases/default", json=move).is_success


@pytest.fixture
def small_postgres(postgres: str, disk: Path) -> Iterator[str]:
    """A new database on the small disk."""
    disk.parent.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(disk, "postgres")
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        connection.execute("CREATE DATABASE small TABLESPACE small")
        yield f"{postgres}/small"
        connection.execute("DROP DATABASE small WITH (FORCE)")
        connection.execute("DROP TABLESPACE small")


@pytest.mark.slow
@pytest.mark.parametrize("disk", [24], indirect=True)
def test_a_postgresql_without_room_makes_no_change_by_half(
    small_postgres: str, disk: Path, tmp_path: Path, base: Base, adapters: list[Path]
) -> None:
    """It has room in its last pages, so some changes succeed before one does not."""
    server = tiny.make_server(tmp_path / "registry", base, database=small_postgres)
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as http,
    ):
        for adapter in adapters[:2]:
            push(http, adapter, ["default"])
        with full(disk):
            at, moves = 2, 2
            while (answer := http.put(f"{NAME}/aliases/default", json={"version": 3 - at})).is_success:
                at, moves = 3 - at, moves + 1
            error(answer, *FULL)
            shown = http.get(NAME).json()
            assert (shown["aliases"], len(shown["history"])) == ({"default": at}, moves)
            assert chat(http) == f"support@{at} heard hello"
        assert http.put(f"{NAME}/aliases/default", json={"version": 3 - at}).is_success
        assert problems(http) == []
    server.registry.close()


def chat(http: httpx.Client, model: str = "support") -> str:
    return str(http.post(CHAT, json=question(model)).json()["choices"][0]["message"]["content"])


def question(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


def problems(http: httpx.Client) -> Any:
    return http.get("/v1/registry/fsck").json()["problems"]
