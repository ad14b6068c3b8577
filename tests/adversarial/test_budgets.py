"""What a key may use: reserved before, settled after, for all servers of a registry, killed ones too."""

import asyncio
import multiprocessing
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from serve.app import create_app
from serve.lifecycle import Lifecycle
from serve.registry.budgets import DAY, MINUTE, Budgets
from serve.registry.database import Database, sqlite_url
from serve.registry.keys import Keys, Limits
from serve.registry.records import StorageBusy
from serve.registry.tables import BudgetRow
from serve.registry.usage import Usage
from serve.routes.budget import most_tokens
from serve.settings import Settings
from tests import virtual_time
from tests.adversarial.spender import RESERVE, spend
from tests.serve import tiny
from tests.serve.conftest import database_url, new_postgres, postgres, postgres_url  # noqa: F401
from tests.serve.leasing import settle
from tests.serve.talking import PROMPT_TOKENS, TalkingEngine
from tests.serve.test_adapter_routes import error
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE

CONTEXT = 50
CLIENTS = 16
PROCESSES = 3
NOON = 20_000.5 * DAY
"""A moment in Unix time."""


NUMBERS = ("requests", "prompt_tokens", "completion_tokens")


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    base = tiny.make_base(tmp_path / "base")
    made = tiny.make_server(tmp_path / "registry", base, max_model_len=CONTEXT)
    engine = TalkingEngine(base.manifest.name)
    app = create_app(made.app.state.settings, made.registry, engine, Lifecycle(engine))
    made.registry.storage.budgets = Budgets(made.registry.storage.database, Clock())
    return TinyServer(app, engine, made.registry, made.key)


def limited(server: TinyServer, name: str = "shop", **limits: int) -> dict[str, str]:
    secret = server.registry.storage.keys.create(name, ["chat"], limits=Limits(**limits))
    return {"authorization": f"Bearer {secret}"}


def chat(server: TinyServer, headers: dict[str, str], said: str = "words 3", **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": said}], **more}
    answer: httpx.Response = TestClient(server.app).post("/v1/chat/completions", json=body, headers=headers)
    return answer


def counted(server: TinyServer, name: str = "shop") -> tuple[int, int]:
    """Requests of the minute, and tokens of the day."""
    with server.registry.storage.database.read() as session:
        row = session.get(BudgetRow, name)
        return (row.requests, row.day_tokens) if row else (0, 0)


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"n": 2}, {"stream": True, "n": 2}])
def test_what_was_answered_is_what_counts(server: TinyServer, more: dict[str, Any]) -> None:
    headers = limited(server, tokens_per_day=1000)
    assert chat(server, headers, **more).is_success
    assert counted(server) == (1, PROMPT_TOKENS + 3 * more.get("n", 1))
    server.registry.close()


@pytest.mark.parametrize(
    ("limits", "code", "seconds"),
    [
        ({"requests_per_minute": 2}, "rate_limit_exceeded", MINUTE),
        ({"tokens_per_minute": 2 * (PROMPT_TOKENS + 3)}, "rate_limit_exceeded", MINUTE),
        ({"tokens_per_day": 2 * (PROMPT_TOKENS + 3)}, "budget_exceeded", DAY // 2),
    ],
)
def test_past_a_limit_a_key_is_told_what_is_left_and_when_there_is_more(
    server: TinyServer, limits: dict[str, int], code: str, seconds: int
) -> None:
    headers, other = limited(server, **limits), limited(server, "other", **limits)
    for _ in range(2):
        assert chat(server, headers).is_success
    refused = chat(server, headers)
    (name, most), (kind, *_) = *limits.items(), next(iter(limits)).split("_")
    told = error(refused, 429, code)
    assert f"'shop' has used or reserved its {most} {name.replace('_per_', ' a ')}, so 0 are left" in told
    assert refused.headers["retry-after"] == str(seconds)
    assert refused.headers[f"x-ratelimit-limit-{kind}"] == str(most)
    assert refused.headers[f"x-ratelimit-remaining-{kind}"] == "0"
    assert refused.headers[f"x-ratelimit-reset-{kind}"] == f"{seconds}s"
    assert chat(server, other).is_success, "another key's limit is its own"
    server.registry.storage.budgets._clock.now += seconds
    assert chat(server, headers).is_success
    server.registry.close()


def test_a_key_sees_what_is_left_to_it(server: TinyServer) -> None:
    headers = limited(server, requests_per_minute=10, tokens_per_minute=10_000, tokens_per_day=500)
    answer = chat(server, headers, max_tokens=20)
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert answer.headers["x-ratelimit-limit-tokens"] == "500", "of two limits on tokens the narrower"
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(500 - CONTEXT - 20)
    assert "x-ratelimit-limit-requests" not in chat(server, server.headers).headers
    server.registry.close()


@pytest.mark.parametrize("said", ["refuse", "crash"])
def test_what_was_not_answered_costs_nothing(server: TinyServer, said: str) -> None:
    headers = limited(server, tokens_per_day=1000) | {"connection": "close"}
    client = TestClient(server.app, raise_server_exceptions=False)
    body = {"messages": [{"role": "user", "content": said}]}
    assert not client.post("/v1/chat/completions", json=body, headers=headers).is_success
    assert counted(server) == (1, 0)
    server.registry.close()


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_before_the_end_has_used_what_was_reserved(server: TinyServer, stream: bool) -> None:
    headers = limited(server, tokens_per_day=1000)
    body = {"messages": [{"role": "user", "content": "wait"}], "stream": stream, "max_tokens": 20}
    gone = asyncio.Event()
    parts = [{"type": "http.request", "body": httpx.Request("POST", "http://x", json=body).content}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None: ...

    async def scene() -> None:
        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        task = asyncio.ensure_future(server.app(scope, receive, send))
        await settle()
        assert counted(server) == (1, CONTEXT + 20), "before the answer"
        gone.set()
        await asyncio.wait((task,))

    virtual_time.run(scene())
    assert counted(server) == (1, CONTEXT + 20)
    server.registry.close()


def test_a_key_without_limits_costs_no_transaction(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat(server, server.headers)
    monkeypatch.setattr(Database, "write", None)
    assert chat(server, server.headers).is_success
    server.registry.close()


def test_limits_change_within_a_second_and_may_go(server: TinyServer) -> None:
    headers = limited(server, requests_per_minute=1)
    assert [chat(server, headers).status_code for _ in range(2)] == [200, 429]
    http = TestClient(server.app, headers=server.headers)
    card = http.put("/v1/keys/shop/limits", json={"requests_per_minute": 2}).json()
    assert (card["requests_per_minute"], card["tokens_per_day"]) == (2, None)
    assert [chat(server, headers).status_code for _ in range(2)] == [200, 429]
    http.put("/v1/keys/shop/limits", json={}).raise_for_status()
    assert chat(server, headers).is_success
    error(http.put("/v1/keys/absent/limits", json={}), 404, "key_not_found")
    for wrong in ({"tokens_per_day": 0}, {"tokens_per_day": 2**60}, {"tokens_a_day": 5}):
        error(http.put("/v1/keys/shop/limits", json=wrong), 400, "invalid_request")
    own = TestClient(server.app, headers=headers)
    error(own.put("/v1/keys/shop/limits", json={}), 403, "insufficient_scope")
    server.registry.close()


def test_no_more_is_reserved_than_the_context_has_room_for(tmp_path: Path) -> None:
    base = tiny.make_base(tmp_path / "base")
    settings = Settings(base=base.manifest, folder=base.folder, max_model_len=CONTEXT)
    for body, size, most in (
        ({}, 40, 90),
        ({"max_tokens": 7}, 40, 47),
        ({"max_tokens": 2**53, "max_completion_tokens": 9}, 10**6, 59),
        ({"max_tokens": 2**53, "n": 16}, 10**6, 850),
    ):
        assert most_tokens(body, size, settings) == most


def test_many_processes_and_a_killed_one_spend_one_budget_and_no_more(database_url: str) -> None:  # noqa: F811
    database = Database(database_url)
    keys = Keys(database)
    keys.create("shop", ["chat"], limits=Limits(tokens_per_day=150))
    (key,) = keys.all()
    context = multiprocessing.get_context("spawn")
    answered, together = context.Value("q", 0), context.Barrier(PROCESSES)
    clients = [
        context.Process(target=spend, args=(database_url, key, NOON, together, answered, number == 0))
        for number in range(PROCESSES)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE)
    assert [client.exitcode for client in clients] == [-signal.SIGKILL, 0, 0]
    with database.read() as session:
        row = session.get(BudgetRow, "shop")
    assert row
    assert row.day_tokens == answered.value + RESERVE, "what was answered, and what the killed one reserved"
    assert 150 <= row.day_tokens < 150 + RESERVE
    database.close()


def test_requests_at_once_overshoot_by_one_reserve_at_most(server: TinyServer) -> None:
    headers = limited(server, tokens_per_day=300)

    async def scene() -> list[int]:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tiny", headers=headers) as http:
            body = {"messages": [{"role": "user", "content": "words 3"}], "max_tokens": 3}
            asked = (http.post("/v1/chat/completions", json=body) for _ in range(CLIENTS))
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = Counter(virtual_time.run(scene()))
    assert codes.keys() <= {200, 429}
    assert counted(server)[1] == codes[200] * (PROMPT_TOKENS + 3) <= 300 + CONTEXT + 3
    server.registry.close()


def test_usage_is_told_by_day_key_and_adapter_to_whom_it_concerns(server: TinyServer) -> None:
    headers = limited(server)
    for said in ("words 3", "words 4", "refuse"):
        chat(server, headers, said)
    chat(server, server.headers)
    own = TestClient(server.app, headers=headers).get("/v1/usage").json()["data"]
    ((key, adapter, *numbers),) = [tuple(row[name] for name in ("key", "adapter", *NUMBERS)) for row in own]
    assert (key, adapter, numbers) == ("shop", None, [3, 2 * PROMPT_TOKENS, 7])
    everybody = TestClient(server.app, headers=server.headers).get("/v1/usage").json()["data"]
    assert len(everybody) == 2
    metrics = TestClient(server.app, headers=headers).get("/metrics").text
    assert 'enxerto_key_tokens_total{key="shop",kind="completion"} 7.0' in metrics
    assert metrics.count("enxerto_key_tokens_total{") == 2, "nobody else's"
    server.registry.close()


def test_what_a_busy_index_does_not_take_is_counted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    clock = Clock()
    usage = Usage(database, clock)
    usage.add("shop", None, 3, 4)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", _busy)
        for _ in range(2):
            with pytest.raises(StorageBusy):
                usage.write()
    usage.add("shop", "support", 1, 1)
    usage.add("shop", None, 10, 20)
    usage.write()
    usage.write()
    found = [
        (one.adapter, one.requests, one.prompt_tokens, one.completion_tokens) for one in usage.of("shop", 1)
    ]
    assert found == [(None, 2, 13, 24), ("support", 1, 1, 1)]
    assert usage.of("other", 1) == []
    clock.now += 401 * DAY
    usage.add("shop", None, 1, 1)
    usage.write()
    assert [one.requests for one in usage.of(None, 1000)] == [1], "what is old goes"
    database.close()


def _busy(**_: Any) -> Any:
    raise StorageBusy("busy")


def test_a_server_that_ends_writes_what_was_used(server: TinyServer) -> None:
    with TestClient(server.app) as http:
        body = {"messages": [{"role": "user", "content": "words 3"}]}
        assert http.post("/v1/chat/completions", json=body, headers=server.headers).is_success
    assert [one.requests for one in server.registry.storage.usage.of(None, 400)] == [1]
    server.registry.close()
