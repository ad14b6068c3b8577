"""The one writer of adapter state, against an engine that obeys the protocol and refuses every abuse."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES, adapter_digest
from serve.engine.protocol import Engine, served_name
from serve.errors import ApiError
from serve.lifecycle import Backoff, Bounds, Lifecycle, State, slots
from serve.registry.records import NotServable, Version
from tests.serve.strict_engine import StrictEngine

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
        assert await engine.chat({"tokens": tokens}, version) == {"said": [version.reference] * tokens}


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
            await _settle()
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
        await _settle()
        assert engine.held == {"a@1"}

    run(scene())


def test_more_pins_than_slots_are_not_looked_at_all_the_time(make: Make) -> None:
    async def scene() -> None:
        verified: list[str] = []
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine, lambda version: verified.append(version.name))
        for _ in range(5):
            lifecycle.keep([make("a"), make("b")])
            await _settle()
        assert verified == ["a", "b"]

    run(scene())


def test_what_was_there_before_comes_back_into_free_slots_only(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=3)
        lifecycle = Lifecycle(engine)
        await ask(engine, lifecycle, make("new"))
        lifecycle.bring_back([make("a"), make("new"), make("b"), make("c")])
        await _settle()
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
            await _settle()
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
            await _settle()
            waiting = [asyncio.create_task(ask(engine, lifecycle, one)) for one in (c, a, d, c, b)]
            await _settle()
            first.cancel()
            await _settle()
        await asyncio.gather(*waiting)
        assert engine.loads == ["a@1", "b@1", "c@1", "a@1", "d@1"], "the drained one waits for its turn too"

    run(scene())


def test_a_version_that_nobody_waits_for_any_more_is_passed_over(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle, a, b, c = Lifecycle(engine), make("a"), make("b"), make("c")
        async with lifecycle.lease(a):
            tasks = [asyncio.create_task(ask(engine, lifecycle, b))]
            await _settle()
            tasks += [asyncio.create_task(ask(engine, lifecycle, one)) for one in (c, a)]
            await _settle()
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
                await _settle()
                assert lifecycle.state_of(slow) is State.DRAINING, "it was used longest ago"
                late = asyncio.create_task(ask(engine, lifecycle, slow))
                await _settle()
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
            await _settle()
            async with lifecycle.lease(new):
                assert engine.held == {"slow@1", "new@1"}
            done.set()
        await asyncio.gather(*users)

    run(scene())


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
            await _settle()
            assert order == [0, 1]
            with pytest.raises(
                ApiError, match=r"2 requests in flight and 3 waiting, of 3 .*--max-q"
            ) as refused:
                await one(5)
            assert (refused.value.status, refused.value.code) == (429, code)
            tasks[2].cancel()
            await _settle()
            tasks.append(asyncio.create_task(one(6)))
            await _settle()
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
            await _settle()
            with pytest.raises(ApiError, match="adapter c@1 let this request wait") as refused:
                await ask(engine, lifecycle, c)
            assert (refused.value.status, refused.value.code) == (503, "adapter_wait")
            patient = [asyncio.create_task(lifecycle.ensure_ready(one)) for one in (a, c)]
            again = asyncio.create_task(ask(engine, lifecycle, c))
            await asyncio.gather(early, return_exceptions=True)
            await _settle()
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
        await _settle()
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
