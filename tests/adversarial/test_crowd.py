"""Connections without number: those that do nothing give way, and a full server says that it lives (5)."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from data.errors import UserError
from serve.connection import MAX_HEAD_BYTES
from serve.crowd import HEALTH_ROOM, Crowd, address_of
from serve.hosting import OTHER_FILES, allow_descriptors
from tests.adversarial.hosted import Hosted, asked, hosted, refused, request, rest, talking
from tests.serve.tiny import TinyServer
from tests.waiting import eventually

MOST, OF_ONE = 8, 4
HEALTH = request("GET /health HTTP/1.1", "connection: close")
OTHER = "127.0.0.2"
"""Another address of this machine."""

IDLE: dict[str, bytes] = {
    "nothing": b"",
    "half a head": b"GET /hea",
    "a 401 and half a body": request("POST /v1/chat/completions HTTP/1.1", "content-length: 9", body=b"{"),
    "a whole answer": request("GET /health HTTP/1.1"),
}


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    return talking(tmp_path)


@pytest.fixture
def host(server: TinyServer) -> Iterator[Hosted]:
    with hosted(server.app, MOST, OF_ONE) as made:
        yield made


def slow_body(key: str) -> bytes:
    return asked(key, "wait")[:-5]


def fill(
    stack: ExitStack, host: Hosted, count: int, data: bytes, source: str = "127.0.0.1"
) -> list[socket.socket]:
    """So many connections that have sent this."""
    return [stack.enter_context(host.line(data, source)) for _ in range(count)]


class Sitting:
    """Somebody who takes a while to leave."""

    address = "127.0.0.1"
    asked_to_go = 0

    def give_way(self) -> None:
        self.asked_to_go += 1


def test_who_was_asked_to_go_counts_no_more_and_is_asked_once() -> None:
    crowd = Crowd(MOST, MOST)
    there = [Sitting() for _ in range(MOST + HEALTH_ROOM)]
    assert [crowd.admit(one) for one in there] == [None] * len(there)
    crowd.waits(there[0])  # it was answered just now, so others wait for longer
    for _ in range(3):
        assert crowd.admit(Sitting()) is None
    assert [one.asked_to_go for one in there] == [0, 1, 1, 1] + [0] * (len(there) - 4)
    assert len(crowd) == MOST + HEALTH_ROOM


def test_a_full_server_says_so_in_its_log_once_a_minute_at_most(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(1, 1)
    for _ in range(1 + HEALTH_ROOM):
        busy = Sitting()
        assert crowd.admit(busy) is None
        assert crowd.asks(busy, health=True) is None
        crowd.works(busy)
    for _ in range(5):
        assert "has 1 requests under way" in str(crowd.admit(Sitting()))
    assert [record.name for record in caplog.records] == ["serve.crowd"]


@pytest.mark.parametrize("case", IDLE)
def test_connections_that_do_nothing_keep_nobody_out(host: Hosted, server: TinyServer, case: str) -> None:
    with ExitStack() as stack:
        fill(stack, host, 100, IDLE[case])
        assert host.told(HEALTH).startswith(b"HTTP/1.1 200")
        assert host.told(asked(server.key, "words 2", "close")).startswith(b"HTTP/1.1 200")
        assert len(host.crowd) <= OF_ONE + HEALTH_ROOM


def test_idle_connections_of_many_addresses_are_bounded_together(host: Hosted) -> None:
    with ExitStack() as stack:
        for number in range(2, 30):
            fill(stack, host, OF_ONE, b"", f"127.0.0.{number}")
        assert host.told(HEALTH).startswith(b"HTTP/1.1 200")
        assert len(host.crowd) <= MOST + HEALTH_ROOM


def test_half_a_head_that_gives_way_is_told_why(host: Hosted) -> None:
    with ExitStack() as stack:
        first, *_ = fill(stack, host, 1, b"GET /hea")
        eventually(lambda: len(host.crowd) == 1)
        fill(stack, host, OF_ONE + HEALTH_ROOM, b"")
        assert "brought no whole request yet" in refused(rest(first), 503)


def test_bodies_at_a_trickle_keep_nobody_out(host: Hosted, server: TinyServer) -> None:
    with ExitStack() as stack:
        first, *_ = fill(stack, host, 1, slow_body(server.key))
        fill(stack, host, 100, slow_body(server.key))
        assert host.told(asked(server.key, "words 2", "close")).startswith(b"HTTP/1.1 200")
        assert "brought no whole request yet" in refused(rest(first), 503)


def test_idle_connections_give_way_before_bodies_that_come(host: Hosted, server: TinyServer) -> None:
    """Whoever sends a large file must not be the one that was there for longest."""
    with host.line(asked(server.key, "words 2", "close")[:-5]) as sending, ExitStack() as stack:
        eventually(lambda: len(host.crowd) == 1)
        fill(stack, host, 100, b"")
        eventually(lambda: len(host.crowd) == OF_ONE + HEALTH_ROOM)
        sending.sendall(asked(server.key, "words 2")[-5:])
        assert rest(sending).startswith(b"HTTP/1.1 200")


def test_chats_of_one_address_leave_room_for_others_and_for_health(host: Hosted, server: TinyServer) -> None:
    base = server.app.state.watch.metrics.base
    chat = asked(server.key, "wait")
    with ExitStack() as stack:
        fill(stack, host, OF_ONE, chat)
        eventually(lambda: base.answering == OF_ONE)
        told = host.told(asked(server.key, "words 2"))
        assert "Your address has 4 requests under way" in refused(told, 429)
        assert b"\r\nretry-after: 2\r\n" in told
        assert host.told(HEALTH).startswith(b"HTTP/1.1 200")
        assert host.told(asked(server.key, "words 2", "close"), OTHER).startswith(b"HTTP/1.1 200")
        fill(stack, host, OF_ONE, chat, OTHER)
        eventually(lambda: base.answering == MOST)
        told = host.told(asked(server.key, "words 2"), "127.0.0.3")
        assert "This server has 8 requests under way" in refused(told, 503)
        assert host.told(HEALTH, "127.0.0.3").startswith(b"HTTP/1.1 200")
    eventually(lambda: base.answering == 0)
    assert host.told(asked(server.key, "words 2", "close")).startswith(b"HTTP/1.1 200")


def test_who_was_refused_takes_no_place(
    host: Hosted, server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its connection is still open, for it to read why; its chat has ended."""
    monkeypatch.setattr("serve.connection.DRAIN_SECONDS", 10**4)
    base = server.app.state.watch.metrics.base
    with ExitStack() as stack:
        lines = fill(stack, host, OF_ONE, asked(server.key, "wait"))
        eventually(lambda: base.answering == OF_ONE)
        for line in lines:
            line.sendall(b"x" * (MAX_HEAD_BYTES + 1))
            assert "behind a request that has no answer yet" in refused(rest(line), 400)
        eventually(lambda: base.answering == 0)
        assert host.told(asked(server.key, "words 2", "close")).startswith(b"HTTP/1.1 200")


def test_nothing_is_kept_of_who_has_gone(host: Hosted, server: TinyServer) -> None:
    for number in range(4, 40):
        host.told(HEALTH, f"127.0.0.{number}")
    for data in (b"", b"GET /hea", slow_body(server.key), asked(server.key, "wait")):
        with ExitStack() as stack:
            fill(stack, host, 30, data)
    eventually(lambda: host.open == 0)
    assert len(host.crowd) == 0
    assert vars(host.crowd)["_of"] == {}


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("10.0.0.1", 5), "10.0.0.1"),
        (("2001:db8:1:2:3::4", 5), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 5), "2001:db8:1:2::/64"),
        (("::ffff:10.0.0.1", 5), "10.0.0.1"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (None, ""),
    ],
)
def test_a_network_of_one_user_is_one_address(client: tuple[str, int] | None, address: str) -> None:
    assert address_of(client) == address


def test_the_bound_leaves_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(100, 1000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    most = 1000 - HEALTH_ROOM - OTHER_FILES
    allow_descriptors(most)
    assert limits[-1] == (1000, 1000)
    with pytest.raises(UserError, match=f"where there may be 1000; .* give at most {most}"):
        allow_descriptors(most + 1)
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    allow_descriptors(10**6)
    assert len(limits) == 3
