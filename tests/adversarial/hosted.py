"""A server as `serve up` hosts it, with what it keeps of its connections in view, and raw lines to it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop
from starlette.types import ASGIApp

from serve.connection import BoundedHttp
from serve.crowd import Crowd
from serve.hosting import Server, config
from serve.routes.deadline import Deadlines
from serve.settings import Settings
from tests.serve import tiny
from tests.serve.talking import TalkingEngine
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE, eventually


def talking(folder: Path, **changes: Any) -> TinyServer:
    """The real app around an engine that can be made to wait."""
    made = tiny.make_server(folder / "registry", tiny.make_base(folder / "base"), **changes)
    made.app.state.engine = TalkingEngine("tiny-awq")
    return made


@dataclass(frozen=True)
class Hosted:
    port: int
    runner: Server

    @property
    def crowd(self) -> Crowd:
        return cast(type[BoundedHttp], self.runner.config.http_protocol_class).crowd

    @property
    def open(self) -> int:
        return len(self.runner.server_state.connections)

    def line(self, data: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """A connection on which this was sent."""
        made = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
        made.sendall(data)
        return made

    def told(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        """All that comes for these bytes until the server closes."""
        with self.line(data, source) as line:
            return rest(line)


@contextmanager
def hosted(
    app: ASGIApp,
    most: int = Settings.max_connections,
    most_of_one: int = Settings.max_connections_per_address,
    drain: float = 1,
    **options: Any,
) -> Iterator[Hosted]:
    """`app` at a port of its own, stopped at the end as by SIGTERM."""
    deadlines = app.state.deadlines if hasattr(app, "state") else Deadlines(1)
    runner = Server(config(app, most, most_of_one, log_level="error", **options), deadlines, drain)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=uvloop.run, args=(runner.serve([listener]),), daemon=True)
        thread.start()
        eventually(lambda: runner.started)
        try:
            yield Hosted(listener.getsockname()[1], runner)
        finally:
            runner.stop(15, None)
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive(), "the server did not stop"


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, "host: x", *headers, "", ""]).encode() + body


def asked(key: str, said: str, connection: str = "keep-alive", **more: Any) -> bytes:
    """A chat with the base, as bytes."""
    body = json.dumps({"model": "tiny-awq", "messages": [{"role": "user", "content": said}], **more}).encode()
    return request(
        "POST /v1/chat/completions HTTP/1.1",
        f"authorization: Bearer {key}",
        f"connection: {connection}",
        f"content-length: {len(body)}",
        body=body,
    )


def rest(line: socket.socket) -> bytes:
    """All that still comes, until the server closes."""
    told = bytearray()
    try:
        while piece := line.recv(2**16):
            told += piece
    except ConnectionResetError:
        pass
    return bytes(told)


def until(line: socket.socket, end: bytes) -> bytes:
    """What comes up to this end."""
    told = bytearray()
    while end not in told:
        piece = line.recv(2**16)
        assert piece, f"closed after {bytes(told[-300:])!r}"
        told += piece
    return bytes(told)


def refused(told: bytes, status: int) -> str:
    """The sentence of an answer that is OpenAI's error object."""
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), told[:300]
    message: str = json.loads(body)["error"]["message"]
    assert message.endswith(".") and message.isprintable()
    return message
