"""The one writer of adapter state, against an engine that obeys the protocol and refuses every abuse."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data import digest
from data.manifest import ADAPTER_FILES, adapter_digest
from serve.engine.protocol import Answer, Engine
from serve.errors import ApiError
from serve.lifecycle import Lifecycle, State
from serve.registry.records import NotServable, Version


class StrictEngine:
    """Holds at most `slots` versions; whatever a correct lifecycle never does raises."""

    base_name = "base"
    trouble = None

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.held: set[str] = set()
        self.chatting: dict[str, int] = {}
        self.loads: list[str] = []
        self.busy = False
        self.broken: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.last_words: Callable[[], object] = lambda: None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def add(self, version: Version) -> None:
        async with _Alone(self):
            assert version.reference not in self.held, "loaded twice"
            assert len(self.held) < self.slots, "more versions than slots"
            if self.gate:
                await self.gate.wait()
            await asyncio.sleep(0)
            if version.reference in self.broken:
                raise ApiError("no such tensor")
            self.held.add(version.reference)
            self.loads.append(version.reference)
            self.last_words()

    async def remove(self, version: Version) -> None:
        async with _Alone(self):
            assert not self.chatting.get(version.reference), "removed while a request used it"
            await asyncio.sleep(0)
            self.held.remove(version.reference)

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        assert version is not None
        name = version.reference
        self.chatting[name] = self.chatting.get(name, 0) + 1
        try:
            for _ in range(body["tokens"]):
                assert name in self.held, "the version left while it was answering"
                await asyncio.sleep(0)
        finally:
            self.chatting[name] -= 1
        return {"said": name}


class _Alone:
    """Loads and removals one at a time."""

    def __init__(self, engine: StrictEngine) -> None:
        self._engine = engine

    async def __aenter__(self) -> None:
        assert not self._engine.busy, "two loads at a time"
        self._engine.busy = True

    async def __aexit__(self, *_: object) -> None:
        self._engine.busy = False


Make = Callable[[str], Version]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def version(name: str) -> Version:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file in ADAPTER_FILES:
            (folder / file).write_text(f"{name} {file}")
        files = {file: digest.of_file(folder / file) for file in ADAPTER_FILES}
        return Version(name, 1, adapter_digest(files), 8, "sha256:base", folder, datetime.now(UTC))

    return version


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, 60)

    asyncio.run(bounded())


async def ask(engine: Engine, lifecycle: Lifecycle, version: Version, tokens: int = 3) -> None:
    async with lifecycle.lease(version):
        assert await engine.chat({"tokens": tokens}, version) == {"said": version.reference}


async def _settle() -> None:
    """Let every task run until it waits, the verifying thread included."""
    for _ in range(20):
        await asyncio.sleep(0.005)


def test_a_request_brings_its_version_in_once(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, version = Lifecycle(engine), make("a")
        assert lifecycle.state_of(version) is State.STORED
        await asyncio.gather(*(ask(engine, lifecycle, version) for _ in range(20)))
        assert engine.loads == ["a@1"]
        assert lifecycle.state_of(version) is State.READY

    run(scene())


def test_the_longest_unused_version_makes_room(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, a, b, c = Lifecycle(engine), make("a"), make("b"), make("c")
        for version in (a, b, a, c):
            await ask(engine, lifecycle, version)
        assert engine.held == {"a@1", "c@1"}
        assert lifecycle.state_of(b) is State.STORED

    run(scene())


def test_a_version_in_use_is_drained_before_it_leaves(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, a, b = Lifecycle(engine), make("a"), make("b")
        async with lifecycle.lease(a):
            waiting = asyncio.create_task(ask(engine, lifecycle, b))
            await _settle()
            assert lifecycle.state_of(a) is State.DRAINING
            assert engine.held == {"a@1"}
        await waiting
        assert engine.held == {"b@1"}

    run(scene())


def test_steady_use_of_one_version_keeps_no_other_out(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, busy, other = Lifecycle(engine), make("busy"), make("other")
        done = asyncio.Event()

        async def steadily() -> None:
            while not done.is_set():
                await ask(engine, lifecycle, busy, tokens=5)

        users = [asyncio.create_task(steadily()) for _ in range(8)]
        await ask(engine, lifecycle, busy)
        await ask(engine, lifecycle, other)
        done.set()
        await asyncio.gather(*users)

    run(scene())


def test_changed_files_never_reach_the_engine(make: Make) -> None:
    def changed(version: Version) -> None:
        raise NotServable(f"the files of {version.name} have another digest")

    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine, changed), make("a")
        with pytest.raises(ApiError, match="digest") as caught:
            await lifecycle.ensure_ready(version)
        assert caught.value.status == 503
        assert lifecycle.state_of(version) is State.FAILED
        assert engine.loads == []

    run(scene())


def test_a_failed_version_says_why_and_may_be_tried_again(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine), make("a")
        engine.broken.add(version.reference)
        for _ in range(2):
            with pytest.raises(ApiError, match="no such tensor"):
                await ask(engine, lifecycle, version)
        assert lifecycle.reason_of(version) == "no such tensor"
        engine.broken.clear()
        await lifecycle.ensure_ready(version)
        assert lifecycle.state_of(version) is State.READY

    run(scene())


def test_who_hangs_up_while_waiting_leaves_no_lease(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        engine.gate = asyncio.Event()
        lifecycle, version = Lifecycle(engine), make("a")
        waiting = asyncio.create_task(ask(engine, lifecycle, version))
        await _settle()
        assert lifecycle.state_of(version) is State.LOADING
        waiting.cancel()
        engine.gate.set()
        await _settle()
        assert lifecycle.state_of(version) is State.READY
        await lifecycle.unload(version)
        assert engine.held == set()

    run(scene())


def test_who_hangs_up_at_the_moment_of_arrival_leaves_no_lease(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine), make("a")
        waiting = asyncio.create_task(ask(engine, lifecycle, version))
        # Runs after the lease was granted and before the one who waited for it woke up.
        engine.last_words = lambda: asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert lifecycle.state_of(version) is State.READY
        await asyncio.wait_for(lifecycle.unload(version), 5)

    run(scene())


def test_a_thousand_streams_over_four_slots(make: Make) -> None:
    async def scene() -> None:
        chance = random.Random(5)
        engine = StrictEngine(slots=4)
        lifecycle = Lifecycle(engine)
        versions = [make(f"v{index}") for index in range(12)]

        async def one() -> None:
            version = chance.choice(versions)
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            task = asyncio.create_task(ask(engine, lifecycle, version, tokens=chance.randrange(1, 30)))
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() / 20)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            else:
                await task
            if chance.random() < 0.05:
                await lifecycle.unload(chance.choice(versions))

        await asyncio.gather(*(one() for _ in range(1000)))
        assert not any(engine.chatting.values())
        for version in versions:
            await lifecycle.unload(version)
        assert engine.held == set()

    run(scene())


def test_a_pinned_version_keeps_its_slot_until_it_is_let_go(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, first, second, third = Lifecycle(engine), make("a"), make("b"), make("c")
        for version in (first, second):
            await ask(engine, lifecycle, version)
        assert lifecycle.keep([first]) == [first]
        assert lifecycle.keep([first]) == []
        await ask(engine, lifecycle, third)
        assert engine.held == {"a@1", "c@1"}, "the pinned one was used longest ago, and stays"
        lifecycle.keep([first, third])
        with pytest.raises(ApiError, match=r"all 2 slots hold pinned versions; .*--max-loras"):
            await ask(engine, lifecycle, second)
        lifecycle.keep([])
        await lifecycle.ensure_ready(second)
        assert "b@1" in engine.held

    run(scene())
