"""Another process holds the index: 503 with a time to come back, soon, and all goes on once it lets go."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.registry import database
from serve.registry.database import Database
from tests.serve import tiny
from tests.serve.crash.test_full_disk import chat
from tests.serve.test_adapter_routes import error, push, upload
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import PATIENCE

BUSY_SECONDS = 0.6
NAME = "/v1/adapters/support"

_SQLITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"), isolation_level=None)
connection.execute(f"BEGIN {sys.argv[2]}")
print("held", flush=True)
sys.stdin.read()
"""

_POSTGRESQL = """
import psycopg, sys
connection = psycopg.connect(sys.argv[1])
connection.execute("UPDATE revision SET number = number")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(url: str, how: str) -> Iterator[None]:
    """Another process is in the middle of a transaction."""
    program = _SQLITE if url.startswith("sqlite") else _POSTGRESQL
    command = [sys.executable, "-c", program, url, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


@pytest.fixture
def server(tmp_path: Path, base: Base, database_url: str, monkeypatch: pytest.MonkeyPatch) -> TinyServer:
    monkeypatch.setattr(Database.__init__, "__defaults__", (BUSY_SECONDS,))
    return tiny.make_server(tmp_path / "registry", base, database=database_url)


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client,
    ):
        yield client
    server.registry.close()


def test_a_writer_is_told_to_come_back(
    http: httpx.Client, base: Base, tmp_path: Path, database_url: str
) -> None:
    for seed in range(3):
        push(http, tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed), ["default"])
    identity = upload(http, tiny.make_adapter(tmp_path / "new", base, 3), ["default"])
    writes: list[tuple[str, str, Any]] = [
        ("POST", f"/v1/uploads/{identity}/commit", None),
        ("PUT", f"{NAME}/aliases/default", {"version": 1}),
        ("POST", f"{NAME}/aliases/default/rollback", None),
        ("PUT", f"{NAME}/versions/1/pin", None),
        ("DELETE", f"{NAME}/versions/1/pin", None),
        ("DELETE", f"{NAME}/versions/2", None),
        ("POST", "/v1/keys", {"name": "ana", "scopes": ["chat"]}),
    ]
    before = http.get(NAME).json()
    with held(database_url, "IMMEDIATE"):
        for method, path, body in writes:
            _busy(http, method, path, body)
        assert http.get(NAME).json() == before
    for method, path, body in writes:
        assert http.request(method, path, json=body).is_success, path
    assert http.get("/v1/registry/fsck").json()["problems"] == []
    assert http.get(NAME).json()["aliases"] == {"default": 4}


def test_a_collection_waits_for_the_writers(
    http: httpx.Client, base: Base, tmp_path: Path, database_url: str
) -> None:
    """It would take the blobs of a version that is about to be written."""
    push(http, tiny.make_adapter(tmp_path / "adapter", base), [])
    for blob in (tmp_path / "registry" / "blobs").glob("*/*"):
        os.utime(blob, (0, 0))
    with held(database_url, "IMMEDIATE"):
        _busy(http, "POST", "/v1/registry/gc")
    assert http.post("/v1/registry/gc").is_success


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_known_is_answered_while_nothing_can_be_read(
    server: TinyServer, http: httpx.Client, base: Base, tmp_path: Path, database_url: str
) -> None:
    """SQLite's exclusive lock keeps readers out too."""
    push(http, tiny.make_adapter(tmp_path / "adapter", base), ["default"])
    server.registry.look()  # at the push: whenever the server looks first, it forgets what it knew before
    assert chat(http) == "support@1 heard hello"
    with held(database_url, "EXCLUSIVE"):
        assert chat(http) == "support@1 heard hello"
        _busy(http, "GET", NAME)
    assert http.get(NAME).is_success


def _busy(http: httpx.Client, method: str, path: str, body: Any = None) -> None:
    began = time.monotonic()
    refused = http.request(method, path, json=body)
    error(refused, 503, "storage_busy")
    assert refused.headers["retry-after"] == "2"
    assert time.monotonic() - began < database.BUSY_SECONDS, "the server waited as long as others do"
