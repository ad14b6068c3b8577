"""Finding 16: with a version that is served the engine computes no numbers. That version goes, no other."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from data.probes import FILE
from serve.app import create_app
from serve.engine.protocol import Answer, NoNumbers
from serve.engine.supervisor import Supervisor
from serve.errors import ApiError
from serve.lifecycle import Bounds, Lifecycle, State
from serve.probing import Prober
from serve.registry.records import Version
from serve.settings import Settings
from tests import virtual_time
from tests.serve import talking, tiny
from tests.serve.leasing import Make, ask, maker, run, settle
from tests.serve.strict_engine import StrictEngine
from tests.serve.test_probing import probes
from tests.serve.tiny import TinyEngine, TinyServer


class Unsound(TinyEngine):
    """Computes no numbers where it hears `fatal`: whose fault that is stands behind the word."""

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        answer = await super().chat(body, version)
        match str(body["messages"][-1]["content"]).split():
            case ["fatal", fault]:
                error = _error(fault, version)
                if isinstance(answer, dict):
                    raise error
                return self._cut(answer, error)
        return answer

    async def _cut(self, events: AsyncIterator[str], error: NoNumbers) -> AsyncIterator[str]:
        async for event in events:
            yield event
            raise error


def _error(fault: str, version: Version | None) -> NoNumbers:
    match fault:
        case "version":
            assert version
            return NoNumbers.by_version(version)
        case "base":
            return NoNumbers.by_base()
    return NoNumbers.by_chance()


@dataclass
class Scene:
    engine: Unsound
    lifecycle: Lifecycle
    http: httpx.AsyncClient

    async def chat(self, said: str, model: str, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": said}], **more}
        return await self.http.post("/v1/chat/completions", json=body)

    async def shown(self, name: str) -> Any:
        return (await self.http.get(f"/v1/adapters/{name}")).json()["versions"][0]


Act = Callable[[Scene], Awaitable[None]]


def play(folder: Path, *acts: Act) -> None:
    """Each act on a server of its own, over the one registry, with the adapters `bad` and `good`."""
    base = tiny.make_base(folder / "base")
    registry = tiny.make_registry(folder / "registry", base)
    settings = Settings(base=base.manifest, folder=base.folder, max_lora_rank=tiny.MAX_RANK)
    key = registry.storage.keys.create("test", ["admin"])

    async def server(act: Act, first: bool) -> None:
        engine = Unsound(base.manifest.name)
        supervisor = Supervisor(lambda: engine)
        prober = Prober(supervisor, registry.storage)
        lifecycle = supervisor.adapters = Lifecycle(
            supervisor, registry.make_ready, agrees=prober, remember=prober.remember
        )
        app = create_app(settings, registry, supervisor, lifecycle)
        if first:
            for seed, name in enumerate(("bad", "good")):
                talking.add(TinyServer(app, engine, registry, key), folder, base, name, seed)
        await supervisor.start()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as http:
            await act(Scene(engine, lifecycle, http))
        await lifecycle.close()
        await supervisor.close()

    for number, act in enumerate(acts):
        virtual_time.run(asyncio.wait_for(server(act, not number), 60))
    registry.close()


def error(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code, answer.text
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_version_goes_and_all_others_stay(tmp_path: Path, stream: bool) -> None:
    async def noticed(scene: Scene) -> None:
        for name in ("bad", "good"):
            assert (await scene.chat("hello", name)).status_code == 200
        answer = await scene.chat("fatal version", "bad", stream=stream)
        if stream:
            first, last, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
            assert json.loads(first)["choices"], "what was sound is said"
            assert json.loads(last)["error"]["code"] == "adapter_unsound"
            assert done == "[DONE]"
        else:
            why = error(answer, 500, "adapter_unsound")
            assert why.startswith("With adapter bad@1 the engine computes no numbers (NaN or infinity)")
        for model in ("bad", "bad@1", "bad:default"):
            why = error(await scene.chat("hello", model), 503, "adapter_failed")
            assert why.startswith("adapter bad@1 is not served any more: while serving, the engine computed")
        await settle()
        assert len(scene.engine.held) == 1, "it has left the engine"
        for model in ("good", "tiny-awq"):
            assert (await scene.chat("hello", model)).status_code == 200
        found = await scene.shown("bad")
        assert found["state"] == "failed"
        assert [one["why"][:14] for one in found["parity"]] == ["while serving,"]
        text = (await scene.http.get("/metrics")).text
        assert 'enxerto_errors_total{adapter="bad",code="adapter_unsound",version="1"} 1.0' in text

    async def next_start(scene: Scene) -> None:
        why = error(await scene.chat("hello", "bad"), 503, "adapter_failed")
        assert "could not be loaded: while serving, the engine computed no numbers with it" in why
        assert scene.engine.held == set()

    async def other_precision(scene: Scene) -> None:
        scene.engine.identity = "tiny 2"
        assert (await scene.chat("hello", "bad")).status_code == 200

    play(tmp_path, noticed, next_start, other_precision)


@pytest.mark.parametrize(("fault", "code"), [("base", "base_unsound"), ("chance", "engine_error")])
@pytest.mark.parametrize("model", ["bad", "tiny-awq"])
def test_what_is_not_the_versions_fault_takes_none_out(
    tmp_path: Path, fault: str, code: str, model: str
) -> None:
    async def act(scene: Scene) -> None:
        error(await scene.chat(f"fatal {fault}", model), 500, code)
        assert (await scene.chat("hello", "bad")).status_code == 200
        assert (await scene.shown("bad"))["parity"] == []

    play(tmp_path, act)


def test_the_measurements_of_its_probes_stay(tmp_path: Path) -> None:
    """The verdict takes their place, and what was found before is evidence."""
    base = tiny.make_base(tmp_path / "base")
    registry = tiny.make_registry(tmp_path / "registry", base)
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    (adapter / FILE).write_text(probes().model_dump_json())
    version = registry.add("support", tiny.check_adapter(adapter, base))
    prober = Prober(TinyEngine("tiny-awq"), registry.storage)

    async def scene() -> None:
        await prober(version)
        await prober.remember(version, "it was found out")

    asyncio.run(scene())
    [verdict] = registry.storage.verdicts.of(version.digest)
    assert verdict.why == "it was found out"
    assert verdict.found["adapter"]["top1"] == 1.0
    registry.close()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)


async def refused(lifecycle: Lifecycle, version: Version) -> None:
    with pytest.raises(ApiError, match="not served any more"):
        async with lifecycle.lease(version):
            pytest.fail("let in")


def test_answers_in_flight_end_by_themselves(make: Make) -> None:
    """They were sound so far, and each is looked at; the engine may not lose what they use."""

    async def scene() -> None:
        engine, version = StrictEngine(slots=1), make("a")
        lifecycle = Lifecycle(engine)
        async with lifecycle.lease(version):
            await lifecycle.condemn(version)
            await refused(lifecycle, version)
            assert lifecycle.state_of(version) is State.DRAINING
            assert engine.held == {"a@1"}
            await ask_again(engine, version)
        await settle()
        assert lifecycle.state_of(version) is State.FAILED
        assert engine.held == set()
        assert engine.abuses == []
        await refused(lifecycle, version)
        await ask(engine, lifecycle, make("b"))

    run(scene())


async def ask_again(engine: StrictEngine, version: Version) -> None:
    assert await engine.chat({"tokens": 3}, version) == {"said": [version.reference] * 3}


def test_those_who_wait_for_it_are_told(make: Make) -> None:
    async def scene() -> None:
        engine, version = StrictEngine(slots=1), make("a")
        lifecycle = Lifecycle(engine, bounds=Bounds(inflight=1))
        async with lifecycle.lease(version):
            waiting = [asyncio.create_task(refused(lifecycle, version)) for _ in range(3)]
            await settle()
            await lifecycle.condemn(version)
            await asyncio.gather(*waiting)

    run(scene())


@pytest.mark.parametrize("dies", [False, True], ids=["it lives", "the engine dies"])
def test_nothing_brings_it_back(make: Make, dies: bool) -> None:
    """Neither a pin, nor time, nor an engine that starts again, nor a slot that is free."""

    async def scene() -> None:
        engine, version = StrictEngine(slots=2), make("a")
        lifecycle = Lifecycle(engine)
        async with lifecycle.lease(version):
            lifecycle.keep([version])
            await lifecycle.condemn(version)
            if dies:
                engine.filled.clear()
                assert lifecycle.engine_lost() == []
        await settle()
        lifecycle.bring_back([version])
        for _ in range(3):
            await asyncio.sleep(1000 / 60)
            lifecycle.keep([version])
            await refused(lifecycle, version)
            with pytest.raises(ApiError, match="not served any more"):
                await lifecycle.ensure_ready(version)
        assert engine.loads == ["a@1"]
        assert lifecycle.state_of(version) is State.FAILED
        assert "(NaN or infinity)" in str(lifecycle.reason_of(version))

    run(scene())


def test_another_ones_slot_is_had_from_it(make: Make) -> None:
    """Of an engine with one slot, as soon as its answers have ended."""

    async def scene() -> None:
        engine, version, other = StrictEngine(slots=1), make("a"), make("b")
        lifecycle = Lifecycle(engine)
        async with lifecycle.lease(version):
            await lifecycle.condemn(version)
            waiting = asyncio.create_task(ask(engine, lifecycle, other))
            await settle()
            assert not waiting.done()
        await waiting
        assert engine.removals == ["a@1"]
        assert engine.abuses == []

    run(scene())
