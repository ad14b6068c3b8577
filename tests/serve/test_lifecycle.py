"""The one writer of adapter state, against an engine that obeys the protocol and refuses every abuse."""

import asyncio

import pytest

from serve.errors import ApiError
from serve.lifecycle import Backoff, Lifecycle, State
from serve.registry.records import NotServable, Version
from tests.serve.leasing import Make, ask, run, settle
from tests.serve.strict_engine import StrictEngine


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
            await settle()
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


def test_a_failed_version_is_left_alone_for_a_while_and_then_tried_again(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine, backoff=Backoff(first=0.2)), make("a")
        engine.broken.add(version.reference)
        for _ in range(3):
            with pytest.raises(ApiError, match=r"no such tensor\. It is not tried again for 1 s") as refused:
                await ask(engine, lifecycle, version)
            assert (refused.value.status, refused.value.code) == (503, "adapter_failed")
            assert refused.value.headers == {"retry-after": "1"}
            with pytest.raises(ApiError, match="no such tensor"):
                await lifecycle.ensure_ready(version)
        assert (engine.loads, lifecycle.state_of(version)) == (["a@1"], State.FAILED)
        assert lifecycle.reason_of(version) == "no such tensor"
        engine.broken.clear()
        await asyncio.sleep(0.2)
        await ask(engine, lifecycle, version)
        assert lifecycle.state_of(version) is State.READY

    run(scene())


def test_each_failure_doubles_the_time_up_to_a_bound() -> None:
    backoff = Backoff(first=5, most=300)
    assert [backoff.after(failures) for failures in (1, 2, 3, 6, 7, 8, 10_000)] == [
        5, 10, 20, 160, 300, 300, 300
    ]  # fmt: skip


def test_a_version_that_fails_before_it_needs_a_slot_takes_none(make: Make) -> None:
    def absent(version: Version) -> None:
        if version.name == "broken":
            raise NotServable("its bytes are gone")

    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, good, broken = Lifecycle(engine, absent, backoff=Backoff(0)), make("good"), make("broken")
        async with lifecycle.lease(good):
            for _ in range(5):
                with pytest.raises(ApiError, match="its bytes are gone"):
                    await ask(engine, lifecycle, broken)
            assert lifecycle.state_of(good) is State.READY
        assert engine.removals == []

    run(scene())


def test_who_hangs_up_while_waiting_leaves_no_lease(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        engine.gate = asyncio.Event()
        lifecycle, version = Lifecycle(engine), make("a")
        waiting = asyncio.create_task(ask(engine, lifecycle, version))
        await settle()
        assert lifecycle.state_of(version) is State.LOADING
        waiting.cancel()
        engine.gate.set()
        await settle()
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


def test_a_pinned_version_keeps_its_slot_until_it_is_let_go(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, first, second, third = Lifecycle(engine), make("a"), make("b"), make("c")
        for version in (first, second):
            await ask(engine, lifecycle, version)
        lifecycle.keep([first])
        await ask(engine, lifecycle, third)
        assert engine.held == {"a@1", "c@1"}, "the pinned one was used longest ago, and stays"
        lifecycle.keep([first, third])
        with pytest.raises(ApiError, match=r"all 2 slots hold pinned versions; .*--max-loras") as refused:
            await ask(engine, lifecycle, second)
        assert (refused.value.status, refused.value.code) == (503, "no_free_slot")
        lifecycle.keep([])
        await lifecycle.ensure_ready(second)
        assert "b@1" in engine.held

    run(scene())


def test_a_version_that_is_pinned_while_it_drains_goes_on(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, a, b = Lifecycle(engine), make("a"), make("b")
        async with lifecycle.lease(a):
            waiting = asyncio.create_task(ask(engine, lifecycle, b))
            await settle()
            assert lifecycle.state_of(a) is State.DRAINING
            lifecycle.keep([a])
            with pytest.raises(ApiError, match="all 1 slots hold pinned versions"):
                await waiting
            await ask(engine, lifecycle, a)

    run(scene())


def test_a_pinned_version_comes_in_by_itself_and_is_tried_again(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine, backoff=Backoff(first=0.1)), make("a")
        engine.broken.add("a@1")
        for _ in range(3):
            lifecycle.keep([version])
            await asyncio.sleep(0.02)
        assert (engine.loads, lifecycle.state_of(version)) == (["a@1"], State.FAILED)
        engine.broken.clear()
        await asyncio.sleep(0.1)
        lifecycle.keep([version])
        await settle()
        assert engine.held == {"a@1"}

    run(scene())


def test_more_pins_than_slots_are_not_looked_at_all_the_time(make: Make) -> None:
    async def scene() -> None:
        verified: list[str] = []
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine, lambda version: verified.append(version.name))
        for _ in range(5):
            lifecycle.keep([make("a"), make("b")])
            await settle()
        assert verified == ["a", "b"]

    run(scene())


def test_what_was_there_before_comes_back_into_free_slots_only(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=3)
        lifecycle = Lifecycle(engine)
        await ask(engine, lifecycle, make("new"))
        lifecycle.bring_back([make("a"), make("new"), make("b"), make("c")])
        await settle()
        assert engine.loads == ["new@1", "a@1", "b@1"]
        await ask(engine, lifecycle, make("d"))
        assert (engine.removals, engine.loads[-1]) == (["new@1"], "d@1")

    run(scene())


def test_each_phase_of_a_load_is_told(make: Make) -> None:
    async def scene() -> None:
        told: list[tuple[str, str]] = []

        def observe(phase: str, version: Version, seconds: float, failed: bool) -> None:
            assert 0 <= seconds < 10
            told.append((phase, version.reference))

        engine = StrictEngine(slots=1)
        await ask(engine, Lifecycle(engine, observe=observe), make("a"))
        assert told == [(phase, "a@1") for phase in ("verify", "make_room", "load", "probe")]

    run(scene())
