"""A server that is told to stop tells whoever still waits for it (22)."""

import json
from pathlib import Path

import pytest

from serve import hosting
from tests.adversarial.hosted import asked, hosted, refused, request, rest, talking, until
from tests.waiting import eventually


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
