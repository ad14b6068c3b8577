"""uvicorn as this server runs it: connections that are bounded, and a shutdown that tells every client."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from data.errors import UserError
from serve.connection import BoundedHttp
from serve.crowd import HEALTH_ROOM, Crowd
from serve.routes.deadline import Deadlines
from serve.settings import Settings

OTHER_FILES = 256
"""Descriptors that are left for database, engine, uploads and logs."""

LAST_SECONDS = 10
"""How long the answers that the end of the drain cuts short may take to say so."""


def config(
    app: ASGIApp,
    most: int = Settings.max_connections,
    most_of_one: int = Settings.max_connections_per_address,
    **options: Any,
) -> uvicorn.Config:
    """Bounded connections, HTTP alone, and uvicorn's own `options` besides."""
    http = type("Http", (BoundedHttp,), {"crowd": Crowd(most, most_of_one)})
    return uvicorn.Config(app, http=http, ws="none", **options)


class Server(uvicorn.Server):
    """uvicorn that, told to stop, lets answers go on for `drain` seconds, and then ends each with an error.

    It hands no signal on, as uvicorn would after its own shutdown, and so cut off the engine's.
    """

    def __init__(self, config: uvicorn.Config, deadlines: Deadlines, drain: float) -> None:
        config.timeout_graceful_shutdown = drain + LAST_SECONDS  # type: ignore[assignment]  # an int for no reason
        super().__init__(config)
        self._deadlines = deadlines
        self._drain = drain

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Let the answers under way end; the second time, do not wait for them."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end = asyncio.get_running_loop().call_later(self._drain, self._deadlines.stop)
        await super().shutdown(sockets)
        end.cancel()


def allow_descriptors(connections: int) -> None:
    """Raise this process's limit on open files as far as is needed; UserError where it may not be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = HEALTH_ROOM + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= connections + more:
        return
    if hard != resource.RLIM_INFINITY and hard < connections + more:
        raise UserError(
            f"--max-connections {connections} needs {connections + more} open files, where there may be "
            f"{hard}; raise that with `ulimit -n`, or give at most {max(1, hard - more)}."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (connections + more, hard))
