"""What the server says of itself, asked over HTTP of the real app around an engine without a model."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from prometheus_client.parser import text_string_to_metric_families

from serve.metrics import BASE, IDLE_SECONDS, NONE, OTHER, Metrics
from serve.registry.records import Version
from serve.watch import WatchedChat
from tests.serve import talking, tiny
from tests.serve.talking import TalkingEngine, add, chat
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import PATIENCE, eventually

MOST = 3
"""Versions with series of their own."""

LIMIT = 10_000
"""Bytes of a chat request."""


@pytest.fixture
def server(tmp_path: Path, base: Base) -> TinyServer:
    """With support@1, support@2 and sql@1, and an engine that says how it ended."""
    server = tiny.make_server(tmp_path / "registry", base, measured_versions=MOST, body_limit=LIMIT)
    for seed, name in enumerate(("support", "support", "sql")):
        add(server, tmp_path, base, name, seed)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    return server


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client,
    ):
        yield client


class Reading:
    """One answer of /metrics."""

    def __init__(self, http: httpx.Client, **headers: str) -> None:
        answer = http.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
        self.text = answer.text

    def __call__(
        self, name: str, adapter: str = "support", version: str = "1", **labels: str
    ) -> float | None:
        """The value of a version's sample; None where there is no such series."""
        wanted = {"adapter": adapter, "version": version, **labels}
        found = [s.value for s in self.samples if s.name == f"enxerto_{name}" and s.labels == wanted]
        assert len(found) < 2
        return found[0] if found else None

    def label_sets(self) -> set[tuple[str, str]]:
        return {(s.labels["adapter"], s.labels["version"]) for s in self.samples if "adapter" in s.labels}


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_ends_and_times_of_a_request(http: httpx.Client, stream: bool) -> None:
    for _ in range(3):
        assert chat(http, "words 7", stream=stream).status_code == 200
    assert chat(http, "length", "support@2", stream=stream).status_code == 200
    eventually(lambda: Reading(http)("requests_total", version="2") == 1)
    read = Reading(http)
    assert read("requests_total") == 3
    assert read("prompt_tokens_total") == 3 * talking.PROMPT_TOKENS
    assert read("completion_tokens_total") == 3 * 7
    assert read("finishes_total", reason="stop") == 3
    assert read("finishes_total", version="2", reason="length") == 1
    assert read("requests_in_flight") == 0
    assert read("queue_seconds_count") == read("request_seconds_count") == 3
    assert read("time_to_first_token_seconds_count") == (3 if stream else 0)
    assert read("inter_token_seconds_count") == (3 * 6 if stream else 0)
    assert read("requests_total", BASE, "") == read("requests_total", NONE, "") == 0


def test_every_choice_has_its_own_gaps_and_end(http: httpx.Client) -> None:
    chat(http, "words 4", stream=True, n=3)
    eventually(lambda: Reading(http)("requests_total") == 1)
    read = Reading(http)
    assert read("inter_token_seconds_count") == 3 * 3
    assert read("time_to_first_token_seconds_count") == 1
    assert read("completion_tokens_total") == 12
    assert read("finishes_total", reason="stop") == 3


def test_requests_of_the_base_are_the_bases(http: httpx.Client, base: Base) -> None:
    assert chat(http, "words 2", base.manifest.name).status_code == 200
    read = Reading(http)
    assert read("requests_total", BASE, "") == 1
    assert read("completion_tokens_total", BASE, "") == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "tools", "kind"),
    [
        (f"call {talking.GOOD}", True, None),
        (f"call {talking.NO_OBJECT}", True, "arguments"),
        (f"call {talking.CUT}", True, "arguments"),
        ("raw", True, "raw_text"),
        ("raw", False, None),
        ("words 3", True, None),
    ],
)
def test_calls_that_no_client_can_read_are_counted(
    http: httpx.Client, said: str, tools: bool, kind: str | None, stream: bool
) -> None:
    tool = {"type": "function", "function": {"name": "get_weather"}}
    chat(http, said, stream=stream, **({"tools": [tool]} if tools else {}))
    eventually(lambda: Reading(http)("requests_total") == 1)
    read = Reading(http)
    found = {s.labels["kind"]: s.value for s in read.samples if s.name == "enxerto_tool_call_failures_total"}
    assert found == ({kind: 1} if kind else {})


def test_errors_are_counted_by_code(http: httpx.Client) -> None:
    assert chat(http, "hello", "suport").status_code == 404
    assert chat(http, "hello", "suport@3").status_code == 404
    assert http.post("/v1/chat/completions", content=b"{").status_code == 400
    assert http.post("/v1/chat/completions", content=b" " * (LIMIT + 1)).status_code == 413
    assert chat(http, "refuse").status_code == 400
    assert chat(http, "crash").status_code == 500
    assert "It broke." in chat(http, "break", stream=True).text
    assert '"internal_error"' in chat(http, "die", stream=True).text
    eventually(lambda: Reading(http)("requests_total") == 4)
    read = Reading(http)
    assert read("errors_total", NONE, "", code="model_not_found") == 2
    assert read("errors_total", NONE, "", code="invalid_json") == 1
    assert read("errors_total", NONE, "", code="body_too_large") == 1
    assert read("errors_total", code="context_length_exceeded") == 1
    assert read("errors_total", code="internal_error") == 2
    assert read("errors_total", code="engine_error") == 1
    assert read("requests_in_flight") == 0


def test_a_client_that_leaves_is_counted_and_so_is_what_it_got(http: httpx.Client) -> None:
    body = {"model": "support", "messages": [{"role": "user", "content": "wait"}], "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert any("one" in line for line in lines)
        assert Reading(http)("requests_in_flight") == 1
    eventually(lambda: Reading(http)("requests_total") == 1)
    read = Reading(http)
    assert read("errors_total", code="client_closed") == 1
    assert read("requests_in_flight") == 0
    assert read("completion_tokens_total") == 1


def test_the_engine_has_stopped_when_the_lease_of_a_broken_stream_is_given_back(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while an event is sent: the engine's stream then waits to be asked for more."""
    body = {"model": "support", "messages": [{"role": "user", "content": "words 9"}], "stream": True}
    headers = [(name.encode(), value.encode()) for name, value in server.headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b""}
    messages = [{"type": "http.request", "body": json.dumps(body).encode()}]
    streaming = []
    give_back = server.app.state.lifecycle._give_back

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if b"word3" in message.get("body", b""):
            raise BrokenPipeError

    def note(*lent: Any) -> None:
        streaming.append(server.app.state.engine.streaming)
        give_back(*lent)

    monkeypatch.setattr(server.app.state.lifecycle, "_give_back", note)
    with pytest.raises(RuntimeError, match="response already started"):
        asyncio.run(server.app({**scope, "headers": headers, "asgi": {"version": "3.0"}}, receive, send))
    assert streaming == [0]


def test_loads_are_timed_by_phase_and_residents_are_marked(http: httpx.Client, server: TinyServer) -> None:
    chat(http, "words 1")
    read = Reading(http)
    for phase in ("verify", "make_room", "load"):
        assert read("load_seconds_count", phase=phase) == 1
        assert read("load_seconds_sum", phase=phase) is not None
    assert read("adapter_loaded") == 1
    assert read("adapter_loaded", version="2") is None
    server.engine.refuses = True
    assert chat(http, "words 1", "sql").status_code == 503
    read = Reading(http)
    assert read("load_failures_total", "sql", phase="load") == 1
    assert read("errors_total", "sql", code="adapter_failed") == 1
    assert read("adapter_loaded", "sql") == 0


def test_no_more_versions_have_series_than_there_is_room_for(
    http: httpx.Client, server: TinyServer, tmp_path: Path, base: Base
) -> None:
    for seed in range(3, 8):
        add(server, tmp_path, base, f"more-{seed}", seed)
        assert chat(http, "words 1", f"more-{seed}").status_code == 200
        assert chat(http, "hello", f"unknown-{seed}").status_code == 404
    read = Reading(http)
    kept = [("more-3", "1"), ("more-4", "1"), ("more-5", "1")]
    loaded = {("more-4", "1"), ("more-5", "1"), ("more-6", "1"), ("more-7", "1")}
    rest = {(BASE, ""), (NONE, ""), (OTHER, "")}
    assert read.label_sets() == {*kept, *rest, *loaded}
    assert {s.labels["adapter"] for s in read.samples if s.name == "enxerto_requests_total"} == {
        *(name for name, _ in kept), BASE, NONE, OTHER
    }  # fmt: skip
    assert read("requests_total", OTHER, "") == 2
    assert read("load_seconds_count", OTHER, "", phase="load") == 2


def test_an_idle_version_gives_way_to_a_new_one(versions: list[Version]) -> None:
    now = 0.0
    metrics = Metrics(most=2, clock=lambda: now)
    first, second, third = versions
    metrics.of(first).begin()
    metrics.of(second).finished("stop")
    now = IDLE_SECONDS - 1
    assert metrics.of(third).labels == (OTHER, "")
    now = IDLE_SECONDS
    # The first one is older, and still answering.
    assert metrics.of(third).labels == ("c", "1")
    assert metrics.versions() == ["a@1", "c@1"]
    assert 'adapter="b"' not in metrics.text().decode()


@pytest.fixture
def versions(tmp_path: Path, server: TinyServer, base: Base) -> list[Version]:
    for seed, name in enumerate("abc", 10):
        add(server, tmp_path, base, name, seed)
    return [server.registry.resolve(name) for name in "abc"]


def test_the_series_of_a_removed_version_go(http: httpx.Client, server: TinyServer) -> None:
    for model in ("support@1", "support@2"):
        chat(http, "words 1", model)
    assert Reading(http)("requests_total", version="2") == 1
    assert http.delete("/v1/adapters/support/versions/2").status_code == 200
    read = Reading(http)
    assert ("support", "2") not in read.label_sets()
    assert read("requests_total") == 1


def test_a_key_of_its_own_adapters_sees_no_others(http: httpx.Client, server: TinyServer) -> None:
    for model in ("support", "sql"):
        chat(http, "words 1", model)
    secret = server.registry.storage.keys.create("team", ["chat"], adapters=["support"])
    read = Reading(http, authorization=f"Bearer {secret}")
    assert {adapter for adapter, _ in read.label_sets()} == {"support", BASE, NONE, OTHER}
    assert "sql" not in read.text


def test_two_servers_of_one_process_count_apart(http: httpx.Client, tmp_path: Path, base: Base) -> None:
    other = tiny.make_server(tmp_path / "other", base)
    chat(http, "words 1", base.manifest.name)
    with (
        listening(other.app) as url,
        httpx.Client(base_url=url, headers=other.headers, timeout=PATIENCE) as second,
    ):
        assert Reading(second)("requests_total", BASE, "") == 0
    assert Reading(http)("requests_total", BASE, "") == 1


def test_http_is_counted_by_template_and_never_by_path(http: httpx.Client) -> None:
    for path in ("/v1/adapters/support", "/v1/adapters/sql", "/nothing/1", "/nothing/2"):
        http.get(path)
    http.request("PROPFIND", "/v1/models")
    http.get("/v1/models", headers={"authorization": "Bearer no"})
    chat(http, "crash")
    found = {
        (s.labels["method"], s.labels["route"], s.labels["status"]): s.value
        for s in Reading(http).samples
        if s.name == "enxerto_http_requests_total"
    }
    assert found == {
        ("GET", "/v1/adapters/{adapter}", "200"): 2,
        ("GET", NONE, "404"): 2,
        (OTHER, "/v1/models", "405"): 1,
        ("GET", "/v1/models", "401"): 1,
        ("POST", "/v1/chat/completions", "500"): 1,
    }


def test_watching_an_event_takes_under_50_microseconds(
    server: TinyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the streaming path pays for all of this, at a chunk as vLLM writes it."""
    version = server.registry.resolve("support")
    chunk = {
        "id": "chatcmpl-" + "9f" * 8,
        "object": "chat.completion.chunk",
        "created": 1_777_887_000,
        "model": f"support@{version.digest}",
        "choices": [{"index": 0, "delta": {"content": " parcel"}, "logprobs": None, "finish_reason": None}],
    }
    event = f"data: {json.dumps(chunk)}\n\n"
    count = 20_000

    async def engine() -> AsyncIterator[str]:
        for _ in range(count):
            yield event

    async def seconds(events: AsyncIterator[str]) -> float:
        # Of the processor: what else runs on the machine makes no event more expensive.
        began = time.thread_time()
        async for _ in events:
            pass
        return time.thread_time() - began

    def watched() -> AsyncIterator[str]:
        seen = WatchedChat(server.app.state.watch, Request({"type": "http", "headers": []}), "key")
        tool = {"type": "function", "function": {"name": "get_weather"}}
        seen.asks({"model": "support", "stream": True, "tools": [tool]})
        seen.serves(version)
        return seen.events(engine())

    plain = min(asyncio.run(seconds(engine())) for _ in range(3))
    ours = min(asyncio.run(seconds(watched())) for _ in range(5))
    each = (ours - plain) / count * 1e6
    with capsys.disabled():
        print(f"\nwatching an event: {each:.1f} µs")
    assert each < 50
