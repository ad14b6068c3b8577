"""A chat that takes too long ends with an error, and its generation with it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.engine.protocol import Answer
from serve.registry.records import Version
from serve.routes import stream
from tests import virtual_time
from tests.serve import tiny
from tests.serve.tiny import TinyServer

SECONDS = 30
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}


class Slow:
    """Says one word, and never another."""

    def __init__(self) -> None:
        self.stopped = False

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        if body.get("stream"):
            return self._events()
        await self._forever()
        return {}

    async def _events(self) -> AsyncIterator[str]:
        yield 'data: {"model":"tiny-awq","choices":[{"index":0,"delta":{"content":"Well"}}]}\n\n'
        await self._forever()

    async def _forever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    return tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"), request_seconds=SECONDS)


@pytest.fixture
def slow(server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> Slow:
    engine = Slow()
    monkeypatch.setattr(server.engine, "chat", engine.chat)
    return engine


def ask(server: TinyServer, **fields: Any) -> httpx.Response:
    """The answer of a server in virtual time, which came when the deadline passed and not a second later."""

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://tiny", headers=server.headers
        ) as http:
            return await http.post("/v1/chat/completions", json=BODY | fields)

    answer, waited = virtual_time.run(virtual_time.took(post()))
    assert waited == pytest.approx(SECONDS, abs=1)
    return answer


def test_a_whole_answer(server: TinyServer, slow: Slow) -> None:
    answer = ask(server)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (504, "request_timeout", "server_error")
    assert "30 s" in error["message"]
    assert slow.stopped


def test_a_stream_ends_with_the_error(server: TinyServer, slow: Slow) -> None:
    answer = ask(server, stream=True)
    assert answer.status_code == 200
    first, error, done = answer.text.strip().split("\n\n")
    assert '"content":"Well"' in first
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "request_timeout"
    assert done == "data: [DONE]"
    assert slow.stopped


def test_waiting_for_an_adapter_counts(server: TinyServer, tmp_path: Path) -> None:
    base = tiny.Base(server.app.state.settings.folder, server.app.state.settings.base)
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    server.registry.add("support", tiny.check_adapter(adapter, base))
    server.registry.set_alias("support", "default", 1)

    async def never(version: Version) -> None:
        await asyncio.Event().wait()

    server.engine.add = never  # type: ignore[method-assign]
    answer = ask(server, model="support")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "request_timeout")


def test_a_client_that_reads_nothing_holds_nothing_longer(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LAST_SECONDS", SECONDS)
    virtual_time.run(_read_nothing(server))


async def _read_nothing(server: TinyServer) -> None:
    """The engine has a word at any time; nobody takes it."""
    closed = asyncio.Event()

    async def talks(body: dict[str, Any], version: Version | None) -> Answer:
        async def events() -> AsyncIterator[str]:
            try:
                while True:
                    yield 'data: {"model":"tiny-awq","choices":[{"index":0,"delta":{"content":"Well"}}]}\n\n'
            finally:
                closed.set()

        return events()

    server.engine.chat = talks  # type: ignore[method-assign]
    asked = iter([json.dumps(BODY | {"stream": True}).encode()])

    async def receive() -> dict[str, Any]:
        if (body := next(asked, None)) is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(10 * SECONDS):
        await server.app(_scope(server), receive, send)
    assert closed.is_set()


def test_a_deadline_that_passes_behind_the_last_word_is_nobodys(server: TinyServer) -> None:
    virtual_time.run(_late_for_nobody(server))


async def _late_for_nobody(server: TinyServer) -> None:
    """Time is up in the moment in which the answer is out; a server takes no word more then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual_time.Loop)
    asked = iter([json.dumps(BODY | {"stream": True}).encode()])
    ends = 0

    async def receive() -> dict[str, Any]:
        if (body := next(asked, None)) is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal ends
        if message["type"] == "http.response.body" and not message["more_body"]:
            ends += 1
            loop.now += SECONDS

    await server.app(_scope(server), receive, send)
    assert ends == 1


def _scope(server: TinyServer) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [(key.encode(), value.encode()) for key, value in server.headers.items()],
    }
