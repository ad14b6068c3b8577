"""A budget of tokens over HTTP: 16 clients spend it, and the server is killed under them, again and again.

What is promised: nothing is lost by `kill -9`, what was under way stays reserved, and a budget is overshot by
one request's reserve at most. The server is the real one over the engine without a model of the tests.
"""

import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.registry.budgets import DAY
from tests.adversarial.unhurried import CONTEXT
from tests.serve.crash.servers import Disks, Servers
from tests.serve.test_adapter_routes import error
from tests.serve.test_cli import serve
from tests.waiting import PATIENCE, eventually

CLIENTS, WAITING = 16, 8
"""Those of them whose answers never end, until the server is killed."""

LIVES = 4
"""Of the server, all but the last ended by SIGKILL."""

ANSWERED = 20
"""Requests at least, in each life before it is ended."""

BUDGET = 20_000
"""More than all lives but the last can use and reserve: see `MOST_ASKED`."""

MOST_ASKED = 25
"""Requests of one client in a life that is to be ended, of 23 tokens at most."""

MOST_ASKED_AT_LAST = 50
"""The same of the last life, of 85 tokens on average: more than anybody has, so that it ends in any case."""

WORDS = 9
"""Of each answer at most, which is what `max_tokens` says."""


@dataclass
class Told:
    """What clients know of the tokens that they used."""

    answers: list[tuple[int, int]] = field(default_factory=list)
    """Tokens in and out of each request that was answered whole, as its `usage` said."""
    begun: list[int] = field(default_factory=list)
    """Reserves of requests that have their first word and wait for the next, until they are cut off."""
    cut: list[int] = field(default_factory=list)
    """Reserves of all others that were cut off: they may be reserved, settled, or never have arrived."""
    refused: list[httpx.Response] = field(default_factory=list)

    @property
    def used(self) -> dict[str, int]:
        prompts, completions = zip(*self.answers, strict=True)
        return {"prompt_tokens": sum(prompts), "completion_tokens": sum(completions)}

    @property
    def answered(self) -> int:
        return sum(self.used.values())


def reserve_of(n: int) -> int:
    """As docs/registry.md has it: the prompt's bytes, no more than the context, and `max_tokens` for each."""
    return CONTEXT + n * WORDS


@dataclass
class Shop:
    """A registry with one key that has a budget, and the server's lives over it."""

    servers: Servers
    index: Path
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def start(self) -> httpx.Client:
        """A new life, and the operator's client of it."""
        operator = self.servers.start()
        self.url = str(operator.base_url)
        return operator

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=PATIENCE)

    def counted(self) -> int:
        with sqlite3.connect(self.index) as index:
            ((tokens,),) = index.execute("SELECT day_tokens FROM budgets WHERE key = 'shop'").fetchall()
            return int(tokens)

    def note_peaks(self) -> None:
        """Keep whatever is ever counted, as the database itself sees it."""
        with sqlite3.connect(self.index) as index:
            index.executescript(
                "CREATE TABLE peaks (tokens INTEGER);"
                "CREATE TRIGGER peak AFTER UPDATE ON budgets "
                "BEGIN INSERT INTO peaks VALUES (NEW.day_tokens); END"
            )

    def peak(self) -> int:
        with sqlite3.connect(self.index) as index:
            ((most,),) = index.execute("SELECT max(tokens) FROM peaks").fetchall()
            return int(most)

    def used(self) -> dict[str, int]:
        """What `/v1/usage` says of the key."""
        with self.client() as http:
            rows = http.get("/v1/usage").json()["data"]
        return {kind: sum(row[kind] for row in rows) for kind in ("prompt_tokens", "completion_tokens")}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    disks = Disks(tmp_path)
    servers = Servers(disks, "tests.adversarial.unhurried")
    try:
        yield Shop(servers, disks.registry / "index.sqlite")
    finally:
        servers.close()


def ask(http: httpx.Client, told: Told, said: str, n: int = 1, stream: bool = False) -> bool:
    """One chat, noted in `told`; False once there is no server, or nothing left."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": said}], "max_tokens": WORDS, "n": n}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    events, waits = [], False
    try:
        with http.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code == 429:
                answer.read()
                told.refused.append(answer)
                return False
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                events.append(line.removeprefix("data: "))
                if '"content":"one ' in line:  # the first word of `wait`
                    told.begun.append(reserve_of(n))
                    waits = True
    except httpx.TransportError:
        if not waits:
            told.cut.append(reserve_of(n))
        return False
    *_, usage = [
        found for event in events if event.startswith("{") and (found := json.loads(event).get("usage"))
    ]
    told.answers.append((usage["prompt_tokens"], usage["completion_tokens"]))
    return True


def spend(shop: Shop, told: Told, number: int) -> None:
    """A client in a life that is to be ended: with answers of all kinds, or one that never ends."""
    with shop.client() as http:
        if number < WAITING:
            ask(http, told, "wait", stream=True)
            return
        for turn in range(MOST_ASKED):
            if not ask(http, told, f"words {1 + turn % WORDS}", 1 + turn % 2, stream=bool(turn + number & 2)):
                return


def spend_all(shop: Shop, told: Told, number: int) -> None:
    """A client in the last life: until nothing is left that others have not reserved."""
    with shop.client() as http:
        for turn in range(number, number + MOST_ASKED_AT_LAST):
            if not ask(http, told, f"words {1 + turn % WORDS}", 16, stream=bool(turn % 2)):
                return


def until_killed(shop: Shop, told: Told) -> None:
    """Clients of a life that ends by SIGKILL in the middle of many answers."""
    begun, answers = len(told.begun) + WAITING, len(told.answers) + ANSWERED
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(spend, shop, told, number) for number in range(CLIENTS)]
        try:
            eventually(lambda: len(told.begun) == begun and len(told.answers) >= answers)
        finally:
            shop.servers.kill()
        assert shop.servers.wait() == -signal.SIGKILL
        for client in clients:
            client.result()


def test_sixteen_clients_and_a_server_that_is_killed_spend_one_budget_and_no_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, last = Told(), Told()
    operator = shop.start()
    key = {"name": "shop", "scopes": ["chat"], "tokens_per_day": BUDGET}
    secret = operator.post("/v1/keys", json=key).json()["secret"]
    shop.headers = {"authorization": f"Bearer {secret}"}
    shop.note_peaks()
    for _ in range(LIVES - 1):
        until_killed(shop, told)
        operator = shop.start()
    least = told.answered + sum(told.begun)
    killed = shop.counted()
    assert least <= killed <= least + sum(told.cut), "nothing is lost, and what was under way is reserved"

    before = shop.used()
    assert sum(before.values()) <= killed, "of its last seconds a server that is killed loses the usage"
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: spend_all(shop, last, number), range(CLIENTS)))
    eventually(lambda: shop.counted() == killed + last.answered, "counted is not what was answered")
    with shop.client() as http:
        while shop.counted() < BUDGET:
            assert ask(http, last, "words 9"), "something is left"
        assert not ask(http, last, "words 1")
    assert not last.cut
    assert shop.counted() == killed + last.answered < BUDGET + reserve_of(1)
    assert shop.peak() < BUDGET + reserve_of(16), "one reserve too much at most, also in between"

    for refused in last.refused:
        said = error(refused, 429, "budget_exceeded")
        assert f"its {BUDGET} tokens a day, so 0 are left; there are new ones in {DAY // 2} s" in said
        assert refused.headers["retry-after"] == str(DAY // 2)
        assert refused.headers["x-ratelimit-limit-tokens"] == str(BUDGET)
        assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
        assert refused.headers["x-ratelimit-reset-tokens"] == f"{DAY // 2}s"

    tokens = last.used
    after = {kind: before[kind] + tokens[kind] for kind in tokens}
    eventually(lambda: shop.used() == after, "usage is not what was answered")
    monkeypatch.setenv("ENXERTO_API_KEY", secret)
    code, out, _ = serve("usage", "--json", url=shop.url)
    assert code == 0
    (row,) = json.loads(out)
    assert {kind: row[kind] for kind in tokens} == after
    metrics = httpx.get(f"{shop.url}/metrics", headers=shop.headers, timeout=PATIENCE).text
    series = dict(re.findall(r'enxerto_key_tokens_total\{key="shop",kind="(\w+)"\} (\S+)', metrics))
    assert {f"{kind}_tokens": float(count) for kind, count in series.items()} == tokens, "since its start"
    assert operator.get("/v1/registry/fsck").json()["problems"] == []
