"""The server of `bench.registry`, in a process of its own: the real app, without an engine's model."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from data.errors import UserError
from tests.serve import tiny
from tests.serve.test_client import listening
from tests.serve.tiny import Base


@contextmanager
def served(folder: Path, base: Base, database: str | None = None) -> Iterator[httpx.Client]:
    """A connection, with a key for everything, to a server of the registry in `folder`."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, folder, base, database), daemon=True)
    process.start()
    theirs.close()
    try:
        url, headers = ours.recv()
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield client
    finally:
        ours.close()
        process.join(10)


def ok(response: httpx.Response) -> httpx.Response:
    """The answer; UserError where it is an error."""
    if response.is_error:
        raise UserError(f"{response.url} answered {response.status_code}: {response.text[:200]}")
    return response


def _serve(connection: Connection, folder: Path, base: Base, database: str | None) -> None:
    server = tiny.make_server(folder, base, database=database)
    with listening(server.app) as url:
        connection.send((url, server.headers))
        with suppress(EOFError):
            connection.recv()  # until the other end is closed
