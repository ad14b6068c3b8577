"""Finding 7: one key took every place of the base, and others got 429. Places are shared by turns of keys."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.app import create_app
from serve.engine.protocol import Answer
from serve.errors import ApiError
from serve.lifecycle import Bounds, Lifecycle
from serve.lifecycle.admission import Admission
from serve.registry.records import Version
from tests import virtual_time
from tests.serve import talking, tiny
from tests.serve.leasing import Make, ask, maker, run, settle
from tests.serve.strict_engine import StrictEngine
from tests.serve.talking import TalkingEngine
from tests.serve.tiny import TinyServer

MANY = 330
"""More than may be in flight and wait together."""


class Crowded(TalkingEngine):
    """Knows how many answers were asked of it that never come."""

    sequences = 24
    waited_for = 0

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        if body["messages"][-1]["content"].startswith("wait"):
            self.waited_for += body.get("n") or 1
        return await super().chat(body, version)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    """The real app and lifecycle, with the usual bounds, over an engine of 24 answers at a time."""
    base = tiny.make_base(tmp_path / "base")
    made = tiny.make_server(tmp_path / "registry", base)
    engine = Crowded(base.manifest.name)
    state = made.app.state
    app = create_app(state.settings, made.registry, engine, Lifecycle(engine, made.registry.make_ready))
    for name in ("support", "sales"):
        talking.add(TinyServer(app, engine, made.registry, made.key), tmp_path / name, base, name, len(name))
    return TinyServer(app, engine, made.registry, made.key)


def body(said: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": said}], **more}


def chats(server: TinyServer, key: str, asked: list[dict[str, Any]]) -> list[asyncio.Task[httpx.Response]]:
    secret = server.registry.storage.keys.create(key, ["chat"])
    transport = httpx.ASGITransport(server.app)

    async def one(what: dict[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://tiny", headers=headers) as http:
            return await http.post("/v1/chat/completions", json=what)

    return [asyncio.create_task(one(what)) for what in asked]


@pytest.mark.parametrize(
    "greed",
    [
        pytest.param(lambda number: body("wait", n=16), id="many answers each"),
        pytest.param(lambda number: body("wait"), id="one answer each"),
        pytest.param(lambda number: body("wait", stream=True), id="streams"),
        pytest.param(lambda number: body("wait " + 30_000 * "long "), id="long prompts"),
        pytest.param(
            lambda number: body("wait", n=16, model=("tiny-awq", "support", "sales")[number % 3]),
            id="the base and adapters",
        ),
    ],
)
def test_a_short_chat_gets_in_beside_hundreds_of_another_key(
    server: TinyServer, greed: Callable[[int], dict[str, Any]]
) -> None:
    async def scene() -> None:
        greedy = chats(server, "greedy", [greed(number) for number in range(MANY)])
        await settle()
        for model in ("tiny-awq", "support", "sales"):
            (answer,) = await asyncio.gather(
                *chats(server, f"honest-{model}", [body("words 1", model=model)])
            )
            assert answer.status_code == 200, answer.text
        assert isinstance(server.engine, Crowded)
        assert 1 <= server.engine.waited_for <= 18, "the others are for keys with nothing inside"
        refused = [one.result() for one in greedy if one.done()]
        codes = Counter(answer.json()["error"]["code"] for answer in refused)
        assert codes.keys() == {"key_busy"}, "its own bound, not everybody's"
        assert "of the key 'greedy' waiting, of 64 that may" in refused[0].json()["error"]["message"]
        for one in greedy:
            one.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)

    virtual_time.run(scene())
    server.registry.close()


def door(**bounds: Any) -> Admission:
    made = Admission("base", "the base", Bounds(**bounds), lambda: None)
    made.open()
    return made


async def enters(at: Admission, log: list[str], key: str, places: int = 1) -> None:
    async with at.entered(key, places):
        log.append(key)
        await asyncio.sleep(1)


def test_the_next_free_place_goes_to_the_key_with_least_inside_then_by_turns() -> None:
    async def scene() -> None:
        at, log = door(inflight=3, queue=100), list[str]()
        tasks = [asyncio.create_task(enters(at, log, key)) for key in "aaaaaaaabbbbccc"]
        await asyncio.gather(*tasks)
        assert log[:3] == list("aaa"), "a lone key may have all of so few places"
        assert sorted(log[3:6]) == sorted(log[6:9]) == list("abc")
        assert len(log) == 15

    run(scene())


def test_a_key_that_has_nothing_inside_finds_a_place_that_no_other_may_take() -> None:
    async def scene() -> None:
        at, log = door(inflight=8, queue=100), list[str]()
        tasks = [asyncio.create_task(enters(at, log, "greedy")) for _ in range(20)]
        await settle()
        tasks += [asyncio.create_task(enters(at, log, key)) for key in "xyz"]
        await settle()
        assert log == ["greedy"] * 6 + ["x", "y"], "two of the eight are kept for keys with nothing inside"
        await asyncio.gather(*tasks)
        assert len(log) == 23

    run(scene())


def test_a_full_queue_makes_way_for_a_key_that_waits_for_less() -> None:
    async def scene() -> None:
        at, log = door(inflight=1, queue=8), list[str]()
        greedy = [asyncio.create_task(enters(at, log, "greedy")) for _ in range(9)]
        await settle()
        with pytest.raises(ApiError, match="8 waiting, of 8 that may") as refused:
            await at.enter("greedy")
        assert refused.value.code == "base_busy"
        honest = [asyncio.create_task(enters(at, log, "honest")) for _ in range(4)]
        await settle()
        sent_away = [one.exception() for one in greedy if one.done()]
        assert {getattr(error, "code", None) for error in sent_away} == {"key_busy"}
        assert len(sent_away) == 4
        with pytest.raises(ApiError, match="of 8 that may") as refused:
            await at.enter("honest")
        assert refused.value.code == "base_busy", "it waits for no less than the other"
        await asyncio.gather(*greedy, *honest, return_exceptions=True)
        assert log[1:] in (["honest", "greedy"] * 4, ["greedy", "honest"] * 4)
        assert (at.inside, at.waiting) == (0, 0)

    run(scene())


def test_a_request_of_many_answers_comes_in_and_leaves_as_many() -> None:
    async def scene() -> None:
        at, log = door(inflight=8, queue=100), list[str]()
        tasks = [asyncio.create_task(enters(at, log, key, places)) for key, places in [("a", 1), ("b", 16)]]
        await settle()
        assert (at.inside, log) == (1, ["a"]), "6 places at most, of which one is taken"
        tasks += [asyncio.create_task(enters(at, log, "c"))]
        await asyncio.gather(*tasks)
        assert log == ["a", "c", "b"], "much does not hold up little"
        assert at.inside == 0

    run(scene())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 16), st.floats(0, 3), st.booleans())),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_whoever_comes_and_goes_the_bounds_hold_and_all_is_given_back(
    guests: list[tuple[str, int, float, bool]], inflight: int, queue: int
) -> None:
    async def scene() -> None:
        at = door(inflight=inflight, queue=queue, seconds=30)

        async def guest(key: str, places: int, after: float, leaves: bool) -> None:
            await asyncio.sleep(after)
            try:
                async with asyncio.timeout(0.5 if leaves else None), at.entered(key, places):
                    assert at.inside <= inflight
                    assert at.waiting <= queue
                    await asyncio.sleep(1)
            except TimeoutError:
                assert leaves
            except ApiError as error:
                assert error.code in ("key_busy", "base_busy", "base_wait")

        await asyncio.gather(*(guest(*one) for one in guests))
        assert (at.inside, at.waiting, at.keys_waiting) == (0, 0, [])

    virtual_time.run(scene())


def test_a_key_that_wants_all_adapters_does_not_keep_another_from_its_own(make: Make) -> None:
    async def scene() -> None:
        engine = StrictEngine(slots=1)
        lifecycle = Lifecycle(engine)

        async def chat(name: str, key: str) -> None:
            async with lifecycle.lease(make(name), key):
                pass

        async with lifecycle.lease(make("first"), "greedy"):
            tasks = [asyncio.create_task(chat(f"g{number}", "greedy")) for number in range(20)]
            await settle()
            tasks.append(asyncio.create_task(chat("mine", "honest")))
            await settle()
        await asyncio.gather(*tasks)
        assert "mine@1" in engine.loads[:3], "one that was on its way, then its turn"
        await ask(engine, lifecycle, make("first"))

    run(scene())
