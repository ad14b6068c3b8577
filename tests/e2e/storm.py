"""Many clients ask canaries and their base at once, while versions are moved, rolled back, pinned, removed
and pushed again; every answer is held against what its version says when it is alone.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from data.errors import UserError
from serve.client.push import push
from tests.e2e.flock import BASE_TOKENS, QUESTIONS, VERSIONS, Flock, Request, ask

CLIENTS, OPERATORS = 16, 2
LENGTHS = (4, 8, 8, 24, 48)
"""Tokens of a canary's answer: some are still running when their slot is wanted."""
ENOUGH = 50
"""Failures that end a storm: an engine that is dead fails all that is left."""


@dataclass
class Pointed:
    """Where an adapter's default alias pointed, move by move; moves after number `done` are under way."""

    moves: list[int]
    done: int = 0

    def begin(self, number: int) -> None:
        self.moves.append(number)

    def end(self) -> None:
        self.done = len(self.moves) - 1

    @property
    def now(self) -> int:
        return self.moves[self.done]


@dataclass
class Tally:
    answers: int = 0
    by: Counter[str] = field(default_factory=Counter)
    """How many answers the base, aliases and numbers gave, as a stream or whole."""
    moves: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Storm:
    """`requests` requests by `CLIENTS` clients while `OPERATORS` operators are at work."""

    def __init__(
        self, flock: Flock, requests: int, seed: int, said: Callable[[Tally], object] = lambda tally: None
    ) -> None:
        self.tally = Tally()
        self._flock = flock
        self._left = iter(range(requests))
        self._random = random.Random(seed)
        self._said = said
        self._pointed: dict[str, Pointed] = {}

    async def run(self, client: httpx.AsyncClient) -> Tally:
        """Until all requests are answered, or `ENOUGH` failed; the operators end what they were doing."""
        for name in self._flock.names:
            alias = await _succeed(client, "GET", f"/v1/adapters/{name}/aliases/default")
            self._pointed[name] = Pointed([alias["version"]])
        over = asyncio.Event()
        shares = [self._flock.names[start::OPERATORS] for start in range(OPERATORS)]
        async with asyncio.TaskGroup() as group:
            for names in shares:
                group.create_task(self._operate(client, names, over))
            await asyncio.gather(*(self._client(client) for _ in range(CLIENTS)))
            over.set()
        return self.tally

    async def _client(self, client: httpx.AsyncClient) -> None:
        for _ in self._left:
            if len(self.tally.failures) >= ENOUGH:
                return
            request = self._request()
            pointed = self._pointed.get(request.name or "")
            since = pointed.done if pointed else 0
            wrong: str | None
            try:
                answer = await ask(client, request)
            except (AssertionError, httpx.HTTPError, KeyError, ValueError) as error:
                wrong = f"lost: {type(error).__name__}: {error}"
            else:
                wrong = self._flock.wrong(request, answer, self._allowed(request, since))
            self.tally.answers += 1
            kind = "base" if not request.name else "number" if "@" in request.model else "alias"
            self.tally.by[f"{kind}, {'stream' if request.stream else 'whole'}"] += 1
            if wrong:
                self.tally.failures.append(f"{request.model} {request.adapter or ''}: {wrong}")
            self._said(self.tally)

    def _request(self) -> Request:
        chosen, base = self._random, self._flock.server.base.name
        question, stream = chosen.choice(QUESTIONS), chosen.random() < 0.5
        name, kind = chosen.choice(self._flock.names), chosen.random()
        tokens = chosen.choice(LENGTHS)
        if kind < 0.25:
            return Request(base, None, None, question, BASE_TOKENS, stream)
        if kind < 0.35:
            return Request(base, name, name, question, tokens, stream)
        if kind < 0.5:
            return Request(f"{name}@{chosen.choice((1, 2))}", None, name, question, tokens, stream)
        return Request(name, None, name, question, tokens, stream)

    def _allowed(self, request: Request, since: int) -> set[int]:
        """The versions that the name meant at some moment while the request was under way."""
        if request.name is None:
            return set()
        if "@" in request.model:
            return {int(request.model.rpartition("@")[2])}
        return set(self._pointed[request.name].moves[since:])

    async def _operate(self, client: httpx.AsyncClient, names: list[str], over: asyncio.Event) -> None:
        """Change one of these adapters after another; only versions 3 are ever removed."""
        while not over.is_set():
            name = self._random.choice(names)
            act = self._random.choice((self._promote, self._promote, self._roll_back, self._pin, self._bury))
            try:
                await act(client, name)
            except (AssertionError, UserError, httpx.HTTPError) as error:
                self.tally.failures.append(f"{act.__name__} {name}: {type(error).__name__}: {error}")
            self.tally.moves[act.__name__.strip("_")] += 1
            await asyncio.sleep(self._random.random() * 0.1)

    async def _promote(self, client: httpx.AsyncClient, name: str) -> None:
        number = self._random.randint(1, VERSIONS)
        self._pointed[name].begin(number)
        await _succeed(client, "PUT", f"/v1/adapters/{name}/aliases/default", {"version": number})
        self._pointed[name].end()

    async def _roll_back(self, client: httpx.AsyncClient, name: str) -> None:
        pointed = self._pointed[name]
        earlier = [number for number in pointed.moves if number != pointed.now]
        if not earlier:
            return
        pointed.begin(earlier[-1])
        moved = await _succeed(client, "POST", f"/v1/adapters/{name}/aliases/default/rollback")
        assert moved["version"] == earlier[-1], moved
        pointed.end()

    async def _pin(self, client: httpx.AsyncClient, name: str) -> None:
        """Only for a moment: what is pinned keeps its slot."""
        place = f"/v1/adapters/{name}/versions/{self._random.choice((1, 2))}/pin"
        await _succeed(client, "PUT", place)
        await asyncio.sleep(0.2)
        await _succeed(client, "DELETE", place)

    async def _bury(self, client: httpx.AsyncClient, name: str) -> None:
        """Remove version 3 and push it again, which brings it back; but not the one that the alias means."""
        if self._pointed[name].now == VERSIONS:
            return
        await _succeed(client, "DELETE", f"/v1/adapters/{name}/versions/{VERSIONS}")
        one = self._flock.versions[name, VERSIONS]
        pushed = await asyncio.to_thread(push, one.folder, name, [], self._flock.server.url)
        assert (pushed["version"], pushed["digest"]) == (VERSIONS, one.digest), pushed


async def _succeed(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    response = await client.request(method, path, json=body)
    assert response.status_code == 200, f"{path} answered {response.status_code}: {response.text[:300]}"
    return response.json()
