"""A stream says its usage to the server, and to its client only where that asked."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve import tiny
from tests.serve.talking import TalkingEngine, add, chat
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import PATIENCE


@pytest.fixture
def server(tmp_path: Path, base: Base) -> TinyServer:
    """With support@1, and an engine that says how it ended."""
    server = tiny.make_server(tmp_path / "registry", base)
    add(server, tmp_path, base, "support", 0)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    return server


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}])
def test_a_client_gets_the_stream_that_it_asked_for(
    http: httpx.Client, server: TinyServer, options: dict[str, Any] | None, n: int
) -> None:
    """The server asks for usage always: only who asked too may see that."""
    more = {} if options is None else {"stream_options": options}
    body = {"messages": [{"role": "user", "content": "words 3"}], "stream": True, "n": n, **more}

    async def straight() -> list[dict[str, Any]]:
        answer = await server.app.state.engine.chat(body, server.registry.resolve("support"))
        assert not isinstance(answer, dict)
        return chunks([event async for event in answer])

    got = chunks(
        chat(http, "words 3", **{k: v for k, v in body.items() if k != "messages"}).text.split("\n\n")
    )
    for chunk in got:
        assert chunk.pop("adapter")["name"] == "support"
    wanted = [chunk | {"model": "support"} for chunk in asyncio.run(straight())]
    assert sorted(map(json.dumps, map(ordered, got))) == sorted(map(json.dumps, map(ordered, wanted)))
    # Whatever waits for the usage, each choice's own order stays.
    for index in range(n):
        assert of_choice(got, index) == of_choice(wanted, index)


def ordered(chunk: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(chunk.items()))


def of_choice(chunks: list[dict[str, Any]], index: int) -> list[Any]:
    return [
        chunk["choices"] for chunk in chunks if chunk["choices"] and chunk["choices"][0]["index"] == index
    ]


def chunks(events: list[str]) -> list[dict[str, Any]]:
    assert [event.strip() for event in events if event.strip()][-1] == "data: [DONE]"
    datas = [event.strip().removeprefix("data: ") for event in events]
    return [json.loads(data) for data in datas if data and data != "[DONE]"]
