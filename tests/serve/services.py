"""Servers that a registry may use, started on this machine: a real PostgreSQL, a real S3 server."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg

from tests.conftest import free_port
from tests.waiting import PATIENCE


@contextmanager
def postgres(fsync: bool = False) -> Iterator[str]:
    """Debian's PostgreSQL; the URL to put a database's name behind.

    Its folder is none of pytest's: those are closed to other users whenever another run of pytest begins.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "run `make test` first: it installs Debian's postgresql"
    binaries = found[-1].parent
    # It refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with TemporaryDirectory(prefix="enxerto-postgres-", ignore_cleanup_errors=True) as folder:
        if user:
            shutil.chown(folder, "postgres")
        yield from _postgres(Path(folder), binaries, user, fsync)


def _postgres(folder: Path, binaries: Path, user: list[str], fsync: bool) -> Iterator[str]:
    data, port = folder / "data", free_port()
    made = [*user, binaries / "initdb", "-D", data, "-U", "enxerto", "-A", "trust", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    options = ["-c", f"fsync={'on' if fsync else 'off'}", "-c", "listen_addresses=127.0.0.1"]
    options += ["-k", str(folder), "-p", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*user, binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd="/"
        )
        url = f"postgresql://enxerto@127.0.0.1:{port}"
        try:
            _wait(lambda: psycopg.connect(f"{url}/postgres").close(), psycopg.OperationalError)
            yield url
        finally:
            server.terminate()
            server.wait(30)


def new_database(server: str) -> str:
    """The URL of a new database of that PostgreSQL."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@contextmanager
def s3() -> Iterator[str]:
    """The endpoint of an S3 server (moto's, a process of its own)."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: httpx.get(endpoint), httpx.TransportError)
        yield endpoint
    finally:
        server.terminate()
        server.wait(30)


def _wait(try_it: Callable[[], object], refused: type[Exception]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            try_it()
            return
        except refused:
            assert time.monotonic() < end, "it did not start"
            time.sleep(0.1)
