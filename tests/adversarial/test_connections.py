"""What one connection may cost, from accept to close (findings 1, 5, 6, 20 and the Host header of 26)."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from serve.connection import MAX_HEAD_BYTES, MAX_HEADERS, TRICKLE_BYTES, WRITE_SECONDS, BoundedHttp
from serve.hosting import config
from tests import virtual_time
from tests.adversarial.hosted import Hosted, asked, hosted, refused, request, rest, talking, until
from tests.serve.talking import TalkingEngine
from tests.serve.tiny import TinyServer
from tests.waiting import eventually

MOST_BYTES = 2**26
"""More than the server throws away, with what its kernel's buffers and this client's hold."""

SHORT = 0.2
"""Seconds that stand for the minutes of the real bounds: what is looked at is that they end, not when."""

CHUNKED = "transfer-encoding: chunked"
POST = "POST /v1/chat/completions HTTP/1.1"
HEALTH = request("GET /health HTTP/1.1")


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    return talking(tmp_path, stall_seconds=1)


@pytest.fixture
def host(server: TinyServer) -> Iterator[Hosted]:
    with hosted(server.app) as made:
        yield made


@pytest.fixture
def hurried(server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    monkeypatch.setattr("serve.connection.DRAIN_SECONDS", SHORT)
    monkeypatch.setattr(
        "serve.connection.HEAD_SECONDS", 1
    )  # within which whole heads come on a busy machine too
    with hosted(server.app, timeout_keep_alive=SHORT) as made:
        yield made


def poured(line: socket.socket, piece: bytes) -> int:
    """Bytes that the server lets a client send, over and over."""
    sent = 0
    try:
        while sent < MOST_BYTES:
            line.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


ENDLESS: dict[str, tuple[bytes, bytes, int | None]] = {
    "trailers behind a 401": (request(POST, CHUNKED, body=b"0\r\n"), b"aN: b\r\n" * 1000, 401),
    "trailers behind a 200": (
        request("GET /health HTTP/1.1", CHUNKED, body=b"0\r\n"),
        b"a: b\r\n" * 999,
        200,
    ),
    "a trailer's name": (request(POST, CHUNKED, body=b"0\r\n"), b"a" * 2**13, 401),
    "a trailer's value": (request(POST, CHUNKED, body=b"0\r\na: "), b"a" * 2**13, 401),
    "a chunk's extension": (request(POST, CHUNKED, body=b"1;"), b"a" * 2**13, 401),
    "blank lines behind a 200": (HEALTH, b"\r\n" * 2**12, 200),
    "a header's name": (b"GET / HTTP/1.1\r\n", b"a" * 2**13, None),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_nothing_without_end_is_taken(host: Hosted, case: str) -> None:
    begin, piece, status = ENDLESS[case]
    with host.line(begin) as line:
        if status:
            assert until(line, b"\r\n\r\n").startswith(b"HTTP/1.1 %d " % status)
        assert poured(line, piece) < MOST_BYTES
    eventually(lambda: host.open == 0)


@pytest.mark.parametrize("lines", [b"a: b\r\n" * (MAX_HEADERS + 1), b"a: " + b"b" * (MAX_HEAD_BYTES + 2**18)])
def test_trailers_of_a_request_that_waits_for_them_are_refused(
    host: Hosted, server: TinyServer, lines: bytes
) -> None:
    head = request(POST, CHUNKED, f"authorization: Bearer {server.key}", body=b"2\r\n{}\r\n0\r\n")
    refused(host.told(head + lines), 400)


def test_headers_are_counted(host: Hosted) -> None:
    assert "has more than 256 headers" in refused(host.told(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 5000), 400)
    many = [f"a{number}: b" for number in range(MAX_HEADERS - 2)]
    assert host.told(request("GET /health HTTP/1.1", "connection: close", *many)).startswith(b"HTTP/1.1 200")


def test_a_head_that_comes_at_once_is_no_longer_than_others(host: Hosted) -> None:
    """One read of the server's is four times as much as a head may be."""
    head = request("GET /health HTTP/1.1", "connection: close", "a: " + "b" * (MAX_HEAD_BYTES + 100))
    assert f"is longer than {MAX_HEAD_BYTES} bytes" in refused(host.told(head), 400)


@pytest.mark.parametrize("trailer", ["authorization", "Authorization", "AUTHORIZATION"])
def test_a_key_in_a_trailer_is_none(host: Hosted, server: TinyServer, trailer: str) -> None:
    """The whole request comes in one read, so that its trailers are there before anybody looks."""
    body = b"2\r\n{}\r\n0\r\n" + f"{trailer}: Bearer {server.key}\r\n\r\n".encode()
    told = host.told(request(POST, CHUNKED, "connection: close", body=body))
    assert "has no API key" in refused(told, 401)


def test_a_trailer_sets_no_id_and_no_second_host(host: Hosted) -> None:
    body = b"0\r\nx-request-id: forged\r\nhost: other\r\n\r\n"
    told = host.told(request("GET /health HTTP/1.1", CHUNKED, "connection: close", body=body))
    assert told.startswith(b"HTTP/1.1 200") and b"forged" not in told


UNFINISHED: dict[str, tuple[bytes, bytes]] = {
    "one byte of the body of a 401": (request(POST, "content-length: 100"), b"{"),
    "a blank line behind a 200": (HEALTH, b"\r\n"),
    "half a chunk behind a 401": (request(POST, CHUNKED), b"5\r\nab"),
    "one byte of 2^50 behind a 404": (request("POST /nowhere HTTP/1.1", f"content-length: {2**50}"), b"a"),
    "the first byte of a trailer": (request(POST, CHUNKED), b"0\r\na"),
    "a body that was asked for and never came": (
        request(POST, "expect: 100-continue", "content-length: 9"),
        b"",
    ),
    "half of a second head": (HEALTH, b"GET /hea"),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_no_byte_behind_an_answer_keeps_a_connection(hurried: Hosted, case: str) -> None:
    begin, more = UNFINISHED[case]
    with hurried.line(begin) as line:
        until(line, b"\r\n\r\n")
        line.sendall(more)
        rest(line)
    eventually(lambda: hurried.open == 0)


@pytest.mark.parametrize("begin", [b"", b"GET /hea", b"\r\n"])
def test_a_first_head_has_its_time(host: Hosted, monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr("serve.connection.HEAD_SECONDS", SHORT)
    assert "head did not come within 0.2 s" in refused(host.told(begin), 400)


def test_a_later_head_has_a_time_of_its_own(server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what was left of the time for a next request, and it is told."""
    with hosted(server.app, timeout_keep_alive=10**4) as host, host.line(HEALTH) as line:
        until(line, b'"status"')
        monkeypatch.setattr("serve.connection.HEAD_SECONDS", SHORT)
        line.sendall(b"GET /hea")
        assert "head did not come within 0.2 s" in refused(rest(line), 400)


def test_a_body_that_may_come_or_not_is_not_waited_for(host: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client was told no before it sent a byte of it: its next request would be taken for the body."""
    monkeypatch.setattr("serve.connection.DRAIN_SECONDS", 10**4)
    refused(host.told(request(POST, "expect: 100-continue", "content-length: 9")), 401)


def test_who_was_refused_and_stays_is_not_waited_for(host: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its half of the connection is still open when it has read why."""
    monkeypatch.setattr("serve.connection.DRAIN_SECONDS", SHORT)
    with host.line(b"no HTTP\r\n\r\n") as line:
        refused(rest(line), 400)
        eventually(lambda: host.open == 0)


UPGRADES: dict[str, tuple[bytes, int]] = {
    "with a body": (
        request("GET /health HTTP/1.1", "connection: upgrade", "upgrade: websocket", "content-length: 9"),
        400,
    ),
    "of WebSocket": (request("GET /health HTTP/1.1", "connection: upgrade", "upgrade: websocket"), 200),
    "by POST": (request("POST /health HTTP/1.1", "connection: upgrade", "upgrade: websocket"), 405),
    "of h2c": (request("GET /health HTTP/1.1", "connection: Upgrade, HTTP2-Settings", "upgrade: h2c"), 200),
    "by CONNECT": (request("CONNECT /health HTTP/1.1"), 405),
}


@pytest.mark.parametrize("case", UPGRADES)
def test_nothing_is_upgraded(server: TinyServer, case: str) -> None:
    """Answered as if nobody had asked, and closed: who then speaks another protocol speaks to nobody."""
    opening, status = UPGRADES[case]
    with hosted(server.app, timeout_keep_alive=10**4) as host:
        assert host.told(opening).startswith(b"HTTP/1.1 %d " % status)


class Large:
    """An application whose answers are larger than what the kernel takes of one without a reader."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/once":  # nothing is left to say while it is on its way
            await send({"type": "http.response.body", "body": b"x" * 2**24})
            return
        pieces = 1 if scope["path"] == "/whole" else 64
        for _ in range(pieces):
            body = b"x" * (2**24 // pieces)
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("path", ["/once", "/whole", "/pieces"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_reads_nothing_is_not_waited_for(
    path: str, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.connection.WRITE_SECONDS", SHORT)
    asking = request(f"GET {path} HTTP/1.1", f"connection: {connection}")
    with hosted(Large(), timeout_keep_alive=SHORT, lifespan="off") as host, host.line(asking) as line:
        line.recv(1)
        eventually(lambda: host.open == 0)


@pytest.mark.parametrize("path", ["/once", "/whole", "/pieces"])
def test_a_client_that_reads_slowly_gets_all(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is to close long before it has read the answer."""
    with hosted(Large(), timeout_keep_alive=0, lifespan="off") as host:
        told = host.told(request(f"GET {path} HTTP/1.1", "connection: close"))
        assert told.count(b"x") == 2**24


class Line(asyncio.Transport):
    """A line of which a test takes what was sent, in a time of its own."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 6)})
        self.unsent = 0
        self.end = ""

    def write(self, data: Any) -> None:
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return bool(self.end)

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "aborted"

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def protocol_on(line: Line, app: ASGIApp) -> BoundedHttp:
    settings = config(app, lifespan="off", log_level="error")
    settings.load()
    made = cast(type[BoundedHttp], settings.http_protocol_class)(settings, ServerState(), {})
    made.connection_made(line)
    return made


def test_a_client_that_reads_on_has_all_its_time_again() -> None:
    async def scene() -> None:
        line, done = Line(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await done.wait()

        http = protocol_on(line, app)
        http.data_received(HEALTH)
        for _ in range(3):
            http.pause_writing()
            await asyncio.sleep(WRITE_SECONDS - 1)
            http.resume_writing()
            await asyncio.sleep(WRITE_SECONDS)
            assert line.end == ""
        http.pause_writing()
        await asyncio.sleep(WRITE_SECONDS + 1)
        assert line.end == "aborted"
        http.connection_lost(None)
        done.set()
        await asyncio.sleep(1)

    virtual_time.run(scene())


def test_an_answer_that_is_whole_may_be_read_as_slowly_as_is_said() -> None:
    async def scene() -> None:
        line = Line()
        protocol_on(line, Large()).data_received(request("GET /once HTTP/1.1", "connection: close"))
        await asyncio.sleep(1)
        for _ in range(5):
            line.unsent -= TRICKLE_BYTES
            await asyncio.sleep(WRITE_SECONDS)
            assert line.end == "closed"
        line.unsent -= TRICKLE_BYTES - 1
        await asyncio.sleep(WRITE_SECONDS)
        assert line.end == "aborted"

    virtual_time.run(scene())


def test_who_gives_way_and_reads_nothing_is_cut_off() -> None:
    async def scene() -> None:
        line = Line()
        http = protocol_on(line, Large())
        http.data_received(request("GET /once HTTP/1.1"))
        await asyncio.sleep(1)
        assert line.end == ""
        http.give_way()
        assert line.end == "aborted"

    virtual_time.run(scene())


GHOSTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "a request behind it": lambda chat: [chat + HEALTH],
    "a request that comes later": lambda chat: [chat, HEALTH],
    "many requests": lambda chat: [chat + HEALTH * 1000],
    "half a head": lambda chat: [chat, b"GET /hea"],
    "blank lines": lambda chat: [chat, b"\r\n" * 99],
    "no HTTP": lambda chat: [chat + b"\x16\x03\x01" * 99],
    "no HTTP, later": lambda chat: [chat, b"\x16\x03\x01" * 99],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("case", GHOSTS)
def test_a_client_that_goes_is_noticed(host: Hosted, server: TinyServer, case: str, stream: bool) -> None:
    base = server.app.state.watch.metrics.base
    with host.line() as line:
        for piece in GHOSTS[case](asked(server.key, "wait", stream=stream)):
            line.sendall(piece)
            eventually(lambda: base.answering == 1)
    eventually(lambda: base.answering == 0)
    assert isinstance(server.app.state.engine, TalkingEngine)
    eventually(lambda: server.app.state.engine.streaming == 0)


def test_what_lies_behind_a_chat_is_bounded(host: Hosted, server: TinyServer) -> None:
    base = server.app.state.watch.metrics.base
    with host.line(asked(server.key, "wait")) as line:
        eventually(lambda: base.answering == 1)
        assert poured(line, HEALTH * 200) < MOST_BYTES
        assert "behind a request that has no answer yet" in refused(rest(line), 400)
    eventually(lambda: base.answering == 0)


def test_an_answer_that_was_begun_is_followed_by_no_other(host: Hosted, server: TinyServer) -> None:
    with host.line(asked(server.key, "wait", stream=True)) as line:
        until(line, b"one ")
        line.sendall(b"x" * (MAX_HEAD_BYTES + 1))
        assert b"HTTP/1.1" not in rest(line)


def test_a_request_that_comes_before_the_answer_to_the_last_is_whole_is_answered(
    host: Hosted, server: TinyServer
) -> None:
    """A client with a Content-Length may know the end of an answer before the server does."""
    with host.line(asked(server.key, "words 20000", stream=True)) as line:
        until(line, b"word0 ")
        line.sendall(HEALTH)
        assert b"[DONE]" in until(line, b'"status"')


def test_requests_one_after_the_other_share_a_connection(host: Hosted, server: TinyServer) -> None:
    with host.line() as line:
        for _ in range(5):
            line.sendall(asked(server.key, "words 3", stream=True))
            until(line, b"0\r\n\r\n")
            body = b"x" * 10**5
            line.sendall(request(POST, f"content-length: {len(body)}", body=body))
            assert b"invalid_api_key" in until(line, b"invalid_api_key")
            line.sendall(HEALTH)
            until(line, b'"status"')
        assert host.open == 1


def test_a_large_body_without_a_key_is_answered_and_drained(host: Hosted) -> None:
    """The client that still sends must be able to read why nobody wants it, and may go on."""
    size = 3 * 2**20
    with host.line(request(POST, f"content-length: {size}")) as line:
        until(line, b"invalid_api_key")
        line.sendall(b"x" * size)
        line.sendall(HEALTH)
        until(line, b'"status"')


def test_a_body_that_nobody_wants_is_not_drained_for_ever(
    host: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.connection.DRAIN_BYTES", 2**20)
    with host.line(request(POST, f"content-length: {2**40}")) as line:
        until(line, b"invalid_api_key")
        assert poured(line, b"x" * 2**16) < MOST_BYTES


@pytest.mark.parametrize("hosts", [("host: y",), ("Host: x",), ("HOST: ", "host: z")])
def test_one_host_header_goes(host: Hosted, hosts: tuple[str, ...]) -> None:
    told = host.told(request("GET /health HTTP/1.1", *hosts))
    assert "more than one Host header" in refused(told, 400)


@pytest.mark.parametrize("path", ["/v1/models/", "/health/", "/v1/adapters/"])
def test_a_slash_behind_a_path_asks_no_host_header_where_to(
    host: Hosted, server: TinyServer, path: str
) -> None:
    head = f"GET {path} HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer {server.key}\r\n"
    told = host.told(head.encode() + b"connection: close\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 200") and b"evil" not in told
