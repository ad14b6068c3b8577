"""A server that is told to stop tells whoever still waits for it (22)."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.parent import die_with_parent
from bench.ready import wait_until_ready
from serve import hosting
from serve.errors import ApiError
from serve.routes.deadline import Deadlines
from tests import virtual_time
from tests.adversarial.hosted import asked, hosted, refused, request, rest, talking, until
from tests.conftest import free_port
from tests.serve import tiny
from tests.waiting import PATIENCE, eventually


def last_error(told: bytes) -> str:
    *_, event, done, end = told.decode().split("\n\n")
    assert done.endswith("data: [DONE]") and end.strip() == "0"
    code: str = json.loads(event.partition("data: ")[2])["error"]["code"]
    return code


def test_a_stream_that_outlasts_the_drain_ends_with_the_error(tmp_path: Path) -> None:
    server = talking(tmp_path)
    with hosted(server.app, drain=0.2) as host, host.line(asked(server.key, "wait", stream=True)) as line:
        until(line, b"one ")
        host.runner.stop(15, None)
        assert last_error(rest(line)) == "server_stopping"
    assert server.app.state.engine.streaming == 0


def test_a_chat_that_begins_when_all_is_over_is_over_too() -> None:
    """Its key was looked up meanwhile, say."""

    async def scene() -> None:
        deadlines = Deadlines(600)
        deadlines.stop()
        with pytest.raises(ApiError) as told:
            async with deadlines.begin().kept():
                await asyncio.sleep(500)
        assert told.value.code == "server_stopping"

    virtual_time.run(scene())


def test_a_stream_that_ends_within_the_drain_is_whole(tmp_path: Path) -> None:
    server = talking(tmp_path)
    said = asked(server.key, "words 20000", stream=True)
    with hosted(server.app, drain=600) as host, host.line(said) as line:
        until(line, b"word0 ")
        host.runner.stop(15, None)
        told = rest(line)
        assert b"word19999 " in told and b"server_stopping" not in told


def test_a_chat_that_is_not_streamed_gets_a_503(tmp_path: Path) -> None:
    server = talking(tmp_path)
    base = server.app.state.watch.metrics.base
    with hosted(server.app, drain=0.2) as host, host.line(asked(server.key, "wait")) as line:
        eventually(lambda: base.answering == 1)
        host.runner.stop(15, None)
        told = rest(line)
        assert "The server stops" in refused(told, 503) and b"server_stopping" in told
        assert b"\r\nretry-after: 2\r\n" in told


def test_a_chat_that_still_waits_for_its_turn_gets_a_503(tmp_path: Path) -> None:
    server = talking(tmp_path, max_inflight=1)
    base = server.app.state.watch.metrics.base
    chat = asked(server.key, "wait")
    with hosted(server.app, drain=0.2) as host, host.line(chat) as first, host.line(chat) as second:
        eventually(lambda: base.answering == 2)
        host.runner.stop(15, None)
        assert "The server stops" in refused(rest(first), 503)
        assert "The server stops" in refused(rest(second), 503)


@pytest.mark.parametrize("line", ["POST /v1/chat/completions", "POST /v1/adapters/x/uploads"])
def test_a_request_that_still_comes_gets_a_503(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "LAST_SECONDS", 0.2)
    server = talking(tmp_path)
    key = f"authorization: Bearer {server.key}"
    coming = request(
        f"{line} HTTP/1.1", key, "content-type: application/json", "content-length: 9", body=b"{"
    )
    with hosted(server.app, drain=0.2) as host, host.line(coming) as sending:
        eventually(lambda: len(host.runner.server_state.tasks) == 1)
        host.runner.stop(15, None)
        assert "The server stops" in refused(rest(sending), 503)


def test_idle_connections_are_closed_at_once(tmp_path: Path) -> None:
    server = talking(tmp_path)
    with hosted(server.app, drain=600) as host:
        lines = [host.line(data) for data in (b"", b"GET /hea", request("GET /health HTTP/1.1"))]
        eventually(lambda: host.open == 3)
        until(lines[2], b'"status"')
        host.runner.stop(15, None)
        for line in lines:
            rest(line)
            line.close()


@contextmanager
def up(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """`serve up` in a process of its own, its port and its key."""
    base = tiny.make_base(home / "bases" / "tiny")
    port = free_port()
    command = [sys.executable, "-m", "tests.adversarial.upped", "up", "--base", str(base.folder)]
    process = subprocess.Popen(
        [*command, "--port", str(port), *options],
        env=os.environ | {"ENXERTO_HOME": str(home)},
        preexec_fn=die_with_parent,
    )
    try:
        log = home / "logs" / f"serve-{port}.log"
        wait_until_ready(process, f"http://127.0.0.1:{port}", PATIENCE, log)
        yield process, port, (home / "key").read_text().strip()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_up_lets_answers_go_on_as_long_as_it_was_told_to(
    tmp_path: Path, number: signal.Signals
) -> None:
    with up(tmp_path, "--drain-seconds", "0.5") as (process, port, key):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
            line.sendall(asked(key, "wait", stream=True))
            until(line, b"one ")
            process.send_signal(number)
            assert last_error(rest(line)) == "server_stopping"
        assert process.wait(PATIENCE) == 0


def test_serve_up_told_twice_waits_for_nothing(tmp_path: Path) -> None:
    with up(tmp_path, "--drain-seconds", "100000") as (process, port, key):
        address = ("127.0.0.1", port)
        with socket.create_connection(address, PATIENCE) as waits, socket.create_connection(address) as ends:
            waits.sendall(asked(key, "wait", stream=True))
            until(waits, b"one ")
            ends.sendall(asked(key, "words 20000", stream=True))
            until(ends, b"word0 ")
            process.send_signal(signal.SIGTERM)
            told = rest(ends)
            assert b"word19999 " in told and b"server_stopping" not in told
            process.send_signal(signal.SIGTERM)
            rest(waits)
        assert process.wait(PATIENCE) == 0
