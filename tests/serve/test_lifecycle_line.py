"""Who comes in first, and whose slot becomes free for it."""

import asyncio

import pytest

from serve.errors import ApiError
from serve.lifecycle import Backoff, Lifecycle, State, slots
from tests.serve.leasing import Make, ask, run, settle
from tests.serve.strict_engine import StrictEngine


def test_the_engine_hears_of_no_version_whose_slot_it_did_not_give_back(make: Make) -> None:
    """StrictEngine raises at a load into a slot that is still taken."""

    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle = Lifecycle(engine, backoff=Backoff(first=0.2))
        a, b, c, d = (make(name) for name in "abcd")
        for version in (a, b):
            await ask(engine, lifecycle, version)
        engine.stuck.add("a@1")
        await ask(engine, lifecycle, c)
        assert (engine.removals, engine.held) == (["a@1", "b@1"], {"a@1", "c@1"})
        assert lifecycle.state_of(a) is State.FAILED
        assert lifecycle.loaded() == ["a@1", "c@1"], "its folder is needed still"
        with pytest.raises(ApiError, match="the engine did not let go of it: it is still there"):
            await ask(engine, lifecycle, a)
        await ask(engine, lifecycle, d)
        assert engine.held == {"a@1", "d@1"}
        engine.stuck = {"a@1", "d@1"}
        with pytest.raises(ApiError, match="the engine does not let go of what the others hold"):
            await ask(engine, lifecycle, b)
        engine.stuck.clear()
        await asyncio.sleep(0.2)
        await ask(engine, lifecycle, a)
        await ask(engine, lifecycle, b)
        assert engine.held == {"a@1", "b@1"}

    run(scene())


def test_a_removal_that_takes_long_holds_up_no_load(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, a, b, c = Lifecycle(engine), make("a"), make("b"), make("c")
        await ask(engine, lifecycle, a)
        async with lifecycle.lease(b):
            leaving = asyncio.create_task(lifecycle.unload(b))
            await settle()
            assert lifecycle.state_of(b) is State.DRAINING
            await ask(engine, lifecycle, c)
            assert engine.held == {"b@1", "c@1"}
        await leaving
        assert engine.held == {"c@1"}
        await lifecycle.unload(make("never seen"))

    run(scene())


def test_the_version_that_waits_longest_comes_in_first(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, a, b, c, d = Lifecycle(engine), make("a"), make("b"), make("c"), make("d")
        async with lifecycle.lease(a):
            first = asyncio.create_task(ask(engine, lifecycle, b))
            await settle()
            waiting = [asyncio.create_task(ask(engine, lifecycle, one)) for one in (c, a, d, c, b)]
            await settle()
            first.cancel()
            await settle()
        await asyncio.gather(*waiting)
        assert engine.loads == ["a@1", "b@1", "c@1", "a@1", "d@1"], "the drained one waits for its turn too"

    run(scene())


def test_a_version_that_nobody_waits_for_any_more_is_passed_over(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, a, b, c = Lifecycle(engine), make("a"), make("b"), make("c")
        async with lifecycle.lease(a):
            tasks = [asyncio.create_task(ask(engine, lifecycle, b))]
            await settle()
            tasks += [asyncio.create_task(ask(engine, lifecycle, one)) for one in (c, a)]
            await settle()
            tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert engine.loads == ["a@1", "b@1", "a@1"]

    run(scene())


def test_a_long_answer_does_not_hold_up_a_load_where_another_slot_becomes_free(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, slow, short, new = Lifecycle(engine), make("slow"), make("short"), make("new")
        async with lifecycle.lease(slow):
            async with lifecycle.lease(short):
                waiting = asyncio.create_task(ask(engine, lifecycle, new))
                await settle()
                assert lifecycle.state_of(slow) is State.DRAINING, "it was used longest ago"
                late = asyncio.create_task(ask(engine, lifecycle, slow))
                await settle()
            await asyncio.gather(waiting, late)
            assert lifecycle.state_of(slow) is State.READY
        assert engine.loads == ["slow@1", "short@1", "new@1"]

    run(scene())


def test_after_a_while_more_are_drained_than_the_one_with_a_long_answer(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.05)

    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, slow, steady, new = Lifecycle(engine), make("slow"), make("steady"), make("new")
        done = asyncio.Event()

        async def steadily() -> None:
            while not done.is_set():
                await ask(engine, lifecycle, steady, tokens=5)

        async with lifecycle.lease(slow):
            users = [asyncio.create_task(steadily()) for _ in range(8)]
            await settle()
            async with lifecycle.lease(new):
                assert engine.held == {"slow@1", "new@1"}
            done.set()
        await asyncio.gather(*users)

    run(scene())
