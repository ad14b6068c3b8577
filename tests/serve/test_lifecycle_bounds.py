"""How many are let in and may wait; what is let loose; what stays of those that left."""

import asyncio

import pytest

from data.errors import UserError
from serve.engine.protocol import served_name
from serve.errors import ApiError
from serve.lifecycle import Bounds, Lifecycle, State
from serve.registry.records import Version
from tests.serve.leasing import Make, ask, run, settle
from tests.serve.strict_engine import StrictEngine


def test_a_version_takes_so_many_requests_at_a_time_and_so_many_wait(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine, bounds=Bounds(inflight=2, queue=3))
        for version, code in ((make("a"), "adapter_busy"), (None, "base_busy")):
            done = asyncio.Event()
            order: list[int] = []
            inside: list[int] = []

            async def one(
                number: int, version: Version | None = version, done: asyncio.Event = done,
                order: list[int] = order, inside: list[int] = inside,
            ) -> None:  # fmt: skip
                async with lifecycle.lease(version):
                    order.append(number)
                    inside.append(number)
                    assert len(inside) <= 2
                    await done.wait()
                    await asyncio.sleep(0)
                    inside.remove(number)

            if version:
                await lifecycle.ensure_ready(version)
            tasks = [asyncio.create_task(one(number)) for number in range(5)]
            await settle()
            assert order == [0, 1]
            with pytest.raises(
                ApiError, match=r"2 requests in flight and 3 waiting, of 3 .*--max-q"
            ) as refused:
                await one(5)
            assert (refused.value.status, refused.value.code) == (429, code)
            tasks[2].cancel()
            await settle()
            tasks.append(asyncio.create_task(one(6)))
            await settle()
            done.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert order == [0, 1, 3, 4, 6]
            await one(7)

    run(scene())


def test_a_bound_on_one_version_is_none_on_another(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle = Lifecycle(engine, bounds=Bounds(inflight=1, queue=1))
        async with lifecycle.lease(make("a")), lifecycle.lease(make("b")), lifecycle.lease(None):
            pass

    run(scene())


def test_who_waits_too_long_is_told_and_its_version_keeps_its_place(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine, bounds=Bounds(inflight=1, seconds=0.2))
        a, b, c = make("a"), make("b"), make("c")
        async with lifecycle.lease(None):
            with pytest.raises(ApiError, match=r"the base let this request wait for 0\.2 s") as refused:
                async with lifecycle.lease(None):
                    pass
            assert (refused.value.status, refused.value.code) == (503, "base_wait")
        async with lifecycle.lease(None), lifecycle.lease(a):
            early = asyncio.create_task(ask(engine, lifecycle, b))
            await settle()
            with pytest.raises(ApiError, match="adapter c@1 let this request wait") as refused:
                await ask(engine, lifecycle, c)
            assert (refused.value.status, refused.value.code) == (503, "adapter_wait")
            patient = [asyncio.create_task(lifecycle.ensure_ready(one)) for one in (a, c)]
            again = asyncio.create_task(ask(engine, lifecycle, c))
            await asyncio.gather(early, return_exceptions=True)
            await settle()
        await asyncio.gather(*patient, again, return_exceptions=True)
        assert engine.loads == ["a@1", "b@1", "c@1", "a@1"], "c was there before a was asked for anew"

    run(scene())


def test_an_alias_of_a_version_that_is_full_may_be_moved_to_it(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, version = Lifecycle(engine, bounds=Bounds(inflight=1, queue=1)), make("a")
        async with lifecycle.lease(version):
            await lifecycle.ensure_ready(version)

    run(scene())


def test_nothing_is_remembered_of_versions_that_left(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine)
        for name in "abcdef":
            await ask(engine, lifecycle, make(name))
        await settle()
        assert list(lifecycle._entries) == [served_name(make("f"))]

    run(scene())


def test_a_version_that_disagrees_with_its_probes_leaves_the_engine_and_is_left_alone(make: Make) -> None:
    async def disagrees(version: Version) -> None:
        if version.name == "wrong":
            raise UserError("parity: it says otherwise.")

    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, wrong, right = Lifecycle(engine, agrees=disagrees), make("wrong"), make("right")
        with pytest.raises(ApiError, match="parity: it says otherwise"):
            await ask(engine, lifecycle, wrong)
        assert lifecycle.state_of(wrong) is State.FAILED
        assert engine.held == set()
        await ask(engine, lifecycle, right)
        assert engine.abuses == []

    asyncio.run(scene())


def test_a_dead_engine_holds_nothing(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=2)
        lifecycle, a, b, c = Lifecycle(engine), make("a"), make("b"), make("c")
        for version in (a, b):
            await ask(engine, lifecycle, version)
        engine.filled.clear()
        assert lifecycle.engine_lost() == [b, a]
        assert lifecycle.loaded() == []
        for version in (c, a):
            await ask(engine, lifecycle, version)
        assert engine.held == {c.reference, a.reference}
        assert engine.abuses == []

    asyncio.run(scene())
