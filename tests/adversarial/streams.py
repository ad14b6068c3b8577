"""Streams of bytes at a server's socket: HTTP with things wrong, cut anywhere, and what is no HTTP at all."""

import gc
import json
import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests import campaign
from tests.adversarial.hosted import Hosted, asked, hosted, request, talking
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE, eventually

GROWTH_MB = 48
"""Of a process that has answered some hundred streams: what later ones leave behind for good is less."""

WARM, LOOK = 200, 100
"""Streams before memory is looked at, and between two looks at /health."""

BATCH = 500
"""Streams of one campaign: it remembers each, which would look like growth."""

Draw = st.DrawFn
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_BOUND = re.compile(rb'"code": ?"(request_timeout|too_many_connections)"')
"""What a 5xx may be."""


@dataclass
class Stream:
    """What is sent, in the pieces in which it is sent; whether the client then goes, or waits for an end."""

    pieces: list[bytes]
    goes: bool


@dataclass
class Tally:
    """What was answered: a status, or nothing."""

    answers: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    warm_mb: float = 0.0
    grown_mb: float = 0.0


@dataclass(frozen=True)
class World:
    host: Hosted
    server: TinyServer
    faults: list[str]
    """What the server logged as an error."""

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator["World"]:
        """Bounds of time are short: what waits for them would otherwise take hours."""
        server = talking(folder, stall_seconds=0.05, request_seconds=0.5)
        faults = _Faults()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("HEAD_SECONDS", "DRAIN_SECONDS"):
                patch.setattr(f"serve.connection.{name}", 0.05)
            logging.getLogger().addHandler(faults)
            try:
                with hosted(server.app, timeout_keep_alive=0.05, log_config=None) as host:
                    yield cls(host, server, faults.lines)
            finally:
                logging.getLogger().removeHandler(faults)


class _Faults(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def fuzz(world: World, examples: int, seed: int) -> Tally:
    """Send so many streams; AssertionError with the smallest one that did harm."""
    tally = Tally()
    made = streams(world.server.key)
    for begin in range(0, examples, BATCH):
        count = min(BATCH, examples - begin)
        campaign.run(made, lambda stream: attack(world, stream, tally), count, seed + begin)
    _look(world)
    tally.grown_mb = _resident_mb() - tally.warm_mb if tally.warm_mb else 0.0
    assert tally.grown_mb < GROWTH_MB, f"{tally.grown_mb:.0f} MB more than after {WARM} streams"
    return tally


def attack(world: World, stream: Stream, tally: Tally) -> None:
    """Send one stream, and look at what came for it."""
    told = _told(world.host, stream)
    statuses = [status.decode() for status in _STATUS.findall(told)]
    assert not world.faults, world.faults[-1]
    for status in statuses:
        assert status[0] in "124" or _BOUND.search(told), told[:500]
    tally.answers.update(statuses or ["closed"])
    tally.streams += 1
    if tally.streams % LOOK == 0:
        _look(world)
    if tally.streams == WARM:
        tally.warm_mb = _resident_mb()


def _told(host: Hosted, stream: Stream) -> bytes:
    """All that the server says until it closes, which it has to; nothing where the client goes first."""
    with socket.create_connection(("127.0.0.1", host.port), PATIENCE) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        told = bytearray()
        try:
            for piece in stream.pieces:
                line.sendall(piece)
            while not stream.goes and (more := line.recv(2**16)):
                told += more
        except (ConnectionResetError, BrokenPipeError):
            pass
        return bytes(told)


def _look(world: World) -> None:
    """It answers, and has forgotten all others."""
    told = _told(world.host, Stream([request("GET /health HTTP/1.1", "connection: close")], goes=False))
    assert told.startswith(b"HTTP/1.1 200 ") and json.loads(told.rpartition(b"\r\n\r\n")[2])["status"] == "ok"
    state = world.host.runner.server_state
    eventually(lambda: not state.connections and not state.tasks, "connections or requests stay for ever")
    assert len(world.host.crowd) == 0
    base = world.server.app.state.watch.metrics.base
    assert base.answering == 0


def _resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@st.composite
def streams(draw: Draw, key: str) -> Stream:
    """One to four requests behind each other, some with bytes changed, in up to six pieces, some cut off."""
    data = b"".join(draw(st.lists(_requests(key) | st.binary(max_size=200), min_size=1, max_size=4)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 5]))):
        data = draw(st.sampled_from(CHANGES))(draw, data)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return Stream([piece for piece in pieces if piece], goes=draw(st.sampled_from([True, True, False])))


def _requests(key: str) -> st.SearchStrategy[bytes]:
    chats = st.sampled_from(["words 3", "wait", "call {}", "break", "refuse"])
    chat = st.builds(lambda said, stream: asked(key, said, stream=stream), chats, st.booleans())
    bodies = st.sampled_from([b"", b"{}", b"x" * 300, b'{"messages": []}'])
    return chat | st.builds(_made, _LINES, st.lists(_HEADERS, max_size=4), bodies, _FRAMES, st.just(key))


def _made(line: str, headers: list[str], body: bytes, frame: str, key: str) -> bytes:
    """A request whose body comes as `frame` says."""
    own = [f"authorization: Bearer {key}"] if "key" in frame else []
    if "length" in frame:
        own.append(f"content-length: {len(body) + ('wrong' in frame) * 7}")
    if "chunked" in frame:
        own.append("transfer-encoding: chunked")
        trailers = b"a: b\r\nauthorization: x\r\n" * 3 if "trailers" in frame else b""
        extension = b";a=" + b"b" * 300 if "extension" in frame else b""
        chunk = b"%x%s\r\n%s\r\n" % (len(body), extension, body) if body else b""
        body = chunk * 3 + b"0\r\n" + trailers + b"\r\n"
    return request(line, *headers, *own, body=body)


_LINES = st.sampled_from(
    [
        "GET /health HTTP/1.1",
        "GET /v1/models HTTP/1.1",
        "HEAD /health HTTP/1.1",
        "POST /v1/chat/completions HTTP/1.1",
        "POST /v1/adapters/x/uploads HTTP/1.1",
        "PUT /v1/uploads/0123456789abcdef0123456789abcdef/x HTTP/1.1",
        "DELETE /v1/adapters/x/versions/1 HTTP/1.1",
        "CONNECT a:1 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://a:99999/\xff HTTP/1.0",
        "PRI * HTTP/2.0",
        "GET /%00%ff?%zz#a HTTP/1.1",
    ]
)
_HEADERS = st.sampled_from(
    [
        "connection: close",
        "connection: upgrade",
        "upgrade: websocket",
        "upgrade: h2c",
        "expect: 100-continue",
        "host: y",
        "content-length: 5",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "content-type: application/json",
        "cookie: " + "a" * 5000,
        "a: " + "b" * 70000,
        "\r\n".join(["a: b"] * 300),
    ]
)
_FRAMES = st.sampled_from(
    [
        "",
        "key",
        "length",
        "key length",
        "length wrong",
        "key length wrong",
        "chunked",
        "key chunked",
        "chunked trailers",
        "key chunked trailers extension",
    ]
)


def _cut(draw: Draw, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _turn(draw: Draw, data: bytes) -> bytes:
    place = draw(st.integers(0, max(0, len(data) - 1)))
    return data[:place] + draw(st.binary(min_size=1, max_size=1)) + data[place + 1 :]


def _put_in(draw: Draw, data: bytes) -> bytes:
    place = draw(st.integers(0, len(data)))
    what = draw(
        st.sampled_from([b"\r\n", b"\0", b"\n", b"\r", b" ", b":", b"\xff" * 9, b"0\r\n\r\n", b"\r\n" * 500])
    )
    return data[:place] + what + data[place:]


def _take_out(draw: Draw, data: bytes) -> bytes:
    place, length = draw(st.integers(0, len(data))), draw(st.integers(1, 40))
    return data[:place] + data[place + length :]


def _repeat(draw: Draw, data: bytes) -> bytes:
    place, length = draw(st.integers(0, len(data))), draw(st.integers(1, 200))
    return data[:place] + data[place : place + length] * draw(st.integers(2, 300)) + data[place:]


CHANGES = [_cut, _turn, _put_in, _take_out, _repeat]
