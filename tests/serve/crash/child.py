"""A server to be killed: each line on standard input forks one over the registry in FOLDER, until it dies.

Libraries are imported once, before the forks, which makes a start ten times as fast. Nothing of `serve` is:
its failpoints are read from the environment when they are imported.

A line in is what $ENXERTO_FAILPOINT becomes, or empty. Lines out are JSON: where the server listens, its key
and its process, and how it ended. What `tests.serve.tiny` makes is served, or what another module does.
"""

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import fastapi
import uvicorn

from data.manifest import read_base

LIBRARIES = (
    "alembic.command",
    "alembic.config",
    "data.schemas",
    "fastapi.security",
    "numpy.typing",
    "obstore.store",
    "psycopg",
    "pydantic.v1",
    "safetensors.numpy",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database")
    parser.add_argument("--blobs")
    parser.add_argument("--maker", default="tests.serve.tiny")
    options = parser.parse_args()
    _die_with_parent()
    for library in LIBRARIES:
        import_module(library)
    uvicorn.Config(fastapi.FastAPI()).load()  # it imports what it needs only then
    with socket.socket() as reserved:  # every server gets the same port, and nobody else
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        for line in sys.stdin:
            process = os.fork()
            if not process:
                os.environ["ENXERTO_FAILPOINT"] = line.strip()
                _serve(options, reserved.getsockname()[1])
                os._exit(0)
            _, status = os.waitpid(process, 0)
            _tell(ended=os.waitstatus_to_exitcode(status))


def _serve(options: argparse.Namespace, port: int) -> None:
    from serve.hosting import config
    from serve.registry import collect
    from serve.routes import uploads
    from tests.serve import tiny

    _die_with_parent()
    # As if an hour went by between an action and the next collection.
    collect.collect.__defaults__ = (collect.GRACE, timedelta(0), collect.UNFINISHED)
    uploads.BLOCK_BYTES = 2**14
    base = tiny.Base(options.folder / "base", read_base(options.folder / "base"))
    make_server = import_module(options.maker).make_server
    server = make_server(options.folder / "registry", base, options.database, options.blobs)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        _tell(url=f"http://127.0.0.1:{port}", key=server.key, process=os.getpid())
        uvicorn.Server(config(server.app, log_level="error")).run(sockets=[listener])


def _tell(**said: object) -> None:
    print(json.dumps(said), flush=True)


def _die_with_parent() -> None:
    """So that a test that is broken off leaves nothing running."""
    parent_death_signal = 1
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    main()
