"""1 000 streams at a time over 12 adapters on 4 slots, while versions are loaded, unloaded, promoted and
rolled back without a pause: each answer is of the version that was resolved, none is lost, nobody starves.

Expected answers come from the engine's own slots (`StrictEngine`), which know nothing of leases and names.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from data import digest
from serve.engine import protocol
from serve.lifecycle import Bounds, Lifecycle, writer
from serve.registry.records import Version
from tests import virtual_time
from tests.serve.strict_engine import StrictEngine

ADAPTERS, VERSIONS, SLOTS, STREAMS, TURNS = 12, 3, 4, 1000, 5
MOST_PATIENT = 60
"""Turns of the loop after which those have hung up that do: waiting, or with half an answer."""
MOST_SECONDS = 60
"""Of virtual time, in which all has to be over: they pass at once where nobody can go on."""


def make(adapter: int, number: int) -> Version:
    name = f"adapter-{adapter}"
    unique = digest.of_bytes(f"{name} {number}".encode())
    return Version(name, number, unique, 8, "sha256:base", Path("/absent"), datetime.now(UTC))


@dataclass
class Outcome:
    """What came of the streams: `overtaken` is how many loads each waited for, `waits` are seconds."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[BaseException] = field(default_factory=list)
    base: int = 0
    given_up: int = 0
    overtaken: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)


class Churn:
    def __init__(self, lifecycle: type[Lifecycle], seed: int) -> None:
        self.random = Random(seed)
        self.engine = StrictEngine(SLOTS)
        self.lifecycle = lifecycle(self.engine, bounds=Bounds(STREAMS, STREAMS, MOST_SECONDS))
        self.versions = [[make(at, number) for number in range(1, VERSIONS + 1)] for at in range(ADAPTERS)]
        self.means = [[held[0]] for held in self.versions]
        """For each adapter what its alias meant, the last of them now."""
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        self.clock = asyncio.get_running_loop().time
        over = asyncio.Event()
        changing = asyncio.create_task(self.change(over))
        try:
            async with asyncio.timeout(MOST_SECONDS):
                clients = (self.client(number) for number in range(STREAMS))
                ended = await asyncio.gather(*clients, return_exceptions=True)
                self.outcome.lost = [error for error in ended if error]
        finally:
            over.set()
            await changing
            await self.lifecycle.close()
        return self.outcome

    async def client(self, number: int) -> None:
        """Chats, one after the other; a tenth of the clients hang up in the first."""
        for turn in range(TURNS):
            task = asyncio.create_task(self.chat())
            if turn == 0 and number % 10 == 0:
                for _ in range(self.random.randrange(MOST_PATIENT)):
                    await asyncio.sleep(0)
                task.cancel()
                (ended,) = await asyncio.gather(task, return_exceptions=True)
                if isinstance(ended, asyncio.CancelledError):
                    self.outcome.given_up += 1
                    continue
            await task

    async def chat(self) -> None:
        if self.random.random() < 0.1:
            async with self.lifecycle.lease(None):
                await asyncio.sleep(0)
            self.outcome.base += 1
            return
        # Resolved once; the alias may move before the lease, and while the answer streams.
        version = self.random.choice(self.means)[-1]
        tokens, loads, began = self.random.randrange(1, 30), len(self.engine.loads), self.clock()
        async with self.lifecycle.lease(version):
            self.outcome.waits.append(self.clock() - began)
            self.outcome.overtaken.append(len(self.engine.loads) - loads)
            stream = await self.engine.chat({"tokens": tokens, "stream": True}, version)
            assert not isinstance(stream, dict)
            answer = [token async for token in stream]
        if answer == [version.reference] * tokens:
            self.outcome.right += 1
        else:
            self.outcome.wrong.append(f"{version.reference} was asked, and {set(answer)} came")

    async def change(self, over: asyncio.Event) -> None:
        """Promote, roll back, unload and pin, without a pause."""
        unloads = set()
        while not over.is_set():
            at = self.random.randrange(ADAPTERS)
            history, what = self.means[at], self.random.choice(("promote", "roll back", "unload", "pin"))
            if what == "promote":
                history.append(self.random.choice(self.versions[at]))
            elif what == "roll back" and len(history) > 1:
                history.append(history[-2])
            elif what == "unload":
                unload = asyncio.create_task(self.lifecycle.unload(self.random.choice(self.versions[at])))
                unloads.add(unload)
                unload.add_done_callback(unloads.discard)
            elif what == "pin":
                self.lifecycle.keep([history[-1]] if self.random.random() < 0.5 else [])
            self.outcome.changes[what] += 1
            await asyncio.sleep(0)
        self.lifecycle.keep([])
        await asyncio.gather(*unloads)


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 23))]
)
def test_a_thousand_streams_get_their_own_version_and_nobody_starves(seed: int) -> None:
    churn = Churn(Lifecycle, seed)
    outcome = virtual_time.run(churn.run())
    assert (outcome.wrong, outcome.lost, churn.engine.abuses) == ([], [], [])
    assert outcome.right + outcome.base + outcome.given_up == TURNS * STREAMS
    assert outcome.right > TURNS * STREAMS / 2
    assert outcome.given_up > STREAMS / 50
    assert len(churn.engine.loads) > ADAPTERS
    assert min(outcome.changes.values()) > 10
    assert not any(churn.engine.chatting.values())
    # Ahead of a version are at most all others, each once. One may be on its way already.
    most = ADAPTERS * VERSIONS + 1
    assert max(outcome.overtaken) <= most
    print(
        f"{outcome.right} right, {outcome.base} of the base, {outcome.given_up} given up; "
        f"{len(churn.engine.loads)} loads, {len(churn.engine.removals)} removals, {dict(outcome.changes)}; "
        f"waited for {max(outcome.overtaken)} loads at most (bound {most}), {max(outcome.waits):.2f} s"
    )


class _Leaseless(Lifecycle):
    """Waits for the version, and holds nothing while it answers."""

    @asynccontextmanager
    async def lease(self, version: Version | None) -> AsyncIterator[None]:
        if version:
            await self.ensure_ready(version)
        yield


def test_without_the_lease_it_is_seen_to_go_wrong() -> None:
    churn = Churn(_Leaseless, seed=1)
    outcome = virtual_time.run(churn.run())
    assert "removed while a request used it" in churn.engine.abuses
    assert outcome.lost


def test_with_the_name_alone_in_place_of_name_and_digest_it_is_seen_to_go_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (protocol, writer):
        monkeypatch.setattr(module, "served_name", lambda version: version.name)
    assert virtual_time.run(Churn(Lifecycle, seed=1).run()).wrong
