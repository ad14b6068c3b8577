"""An engine's death, seen from HTTP and from the lifecycle: engines here die by script."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from data.manifest import ADAPTER_FILES
from serve.app import create_app
from serve.engine.protocol import EngineDied, served_name
from serve.engine.supervisor import Patience, Supervisor
from serve.errors import ApiError
from serve.lifecycle import Lifecycle, State
from serve.registry.records import Version
from serve.settings import Settings
from tests import virtual_time
from tests.serve import tiny
from tests.serve.mortal import Mortal
from tests.serve.test_adapter_routes import announce

QUICK = Patience(wait=5, first_pause=0)


@dataclass
class Scene:
    """A server whose engines live as `scripts` say, one after the other, and its client."""

    lives: list[Mortal]
    engine: Supervisor
    lifecycle: Lifecycle
    app: FastAPI
    http: httpx.AsyncClient

    async def chat(self, **fields: Any) -> httpx.Response:
        body = {"model": "tiny-awq", "messages": [{"role": "user", "content": "hello"}]} | fields
        return await self.http.post("/v1/chat/completions", json=body)


Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs a scene on the real app, lifecycle and registry, in virtual time."""

    def run(act: Callable[[Scene], Awaitable[None]], *scripts: str, patience: Patience = QUICK) -> None:
        async def bounded() -> None:
            base = tiny.make_base(tmp_path / "base")
            lives = [Mortal(script) for script in scripts]
            coming = iter(lives)
            engine = Supervisor(lambda: next(coming), patience)
            registry = tiny.make_registry(tmp_path / "registry", base)
            lifecycle = engine.adapters = Lifecycle(engine, registry.make_ready)
            settings = Settings(base=base.manifest, folder=base.folder, max_lora_rank=tiny.MAX_RANK)
            app = create_app(settings, registry, engine, lifecycle)
            key = registry.storage.keys.create("test", ["admin"])
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            headers = {"authorization": f"Bearer {key}"}
            await engine.start()
            async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as http:
                async with asyncio.timeout(20):
                    await act(Scene(lives, engine, lifecycle, app, http))
            await lifecycle.close()
            await engine.close()
            registry.close()

        virtual_time.run(bounded())

    return run


def events(answer: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("death", ["die", "die-first"])
def test_a_request_without_a_first_token_is_asked_once_more(play: Play, stream: bool, death: str) -> None:
    async def act(scene: Scene) -> None:
        answer = await scene.chat(stream=stream)
        assert answer.status_code == 200
        assert "error" not in answer.text
        assert "heard hello" in answer.text
        assert [life.asked for life in scene.lives] == [1, 1]
        assert scene.lives[0].closed

    play(act, death if stream else "die", "")


def test_a_request_is_never_asked_a_third_time(play: Play) -> None:
    async def act(scene: Scene) -> None:
        answer = await scene.chat()
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_died"
        assert int(answer.headers["retry-after"]) > 0
        assert [life.asked for life in scene.lives] == [1, 1, 0]
        assert (await scene.chat()).status_code == 200

    play(act, "die", "die", "")


def test_a_stream_that_began_ends_with_a_typed_error_and_is_not_asked_again(play: Play) -> None:
    async def act(scene: Scene) -> None:
        answer = await scene.chat(stream=True)
        assert answer.status_code == 200
        first, error, done = events(answer)
        assert (first, done) == ("one", "[DONE]")
        assert json.loads(error)["error"] == {
            "message": "The engine died under this request; send it again.",
            "type": "server_error",
            "param": None,
            "code": "engine_died",
        }
        assert (await scene.chat()).status_code == 200
        assert [life.asked for life in scene.lives] == [1, 1]

    play(act, "die-later", "")


@pytest.mark.parametrize(
    ("what", "code"),
    [("break", "internal_error"), ("refuse", "too_long"), ("bare", "internal_error")],
)
def test_whatever_goes_wrong_in_a_stream_is_its_last_event(play: Play, what: str, code: str) -> None:
    async def act(scene: Scene) -> None:
        first, error, done = events(await scene.chat(stream=True))
        assert (first, done) == ("one", "[DONE]")
        assert json.loads(error)["error"]["code"] == code

    play(act, what)


def test_what_comes_while_it_starts_waits_for_it(play: Play) -> None:
    async def act(scene: Scene) -> None:
        assert (await scene.http.get("/health")).status_code == 200
        scene.lives[1].started.clear()
        scene.lives[0].die()
        health = await scene.http.get("/health")
        assert health.status_code == 503
        assert health.json()["error"]["code"] == "engine_restarting"
        assert int(health.headers["retry-after"]) > 0
        waiting = [asyncio.create_task(scene.chat(stream=stream)) for stream in (False, True)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        scene.lives[1].started.set()
        assert [(await task).status_code for task in waiting] == [200, 200]
        assert (await scene.http.get("/health")).status_code == 200

    play(act, "", "")


def test_it_waits_no_longer_than_it_has_patience(play: Play) -> None:
    async def act(scene: Scene) -> None:
        scene.lives[1].started.clear()
        answer, waited = await virtual_time.took(scene.chat())
        assert waited == pytest.approx(10, abs=0.5)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_restarting"
        assert int(answer.headers["retry-after"]) > 0
        scene.lives[1].started.set()

    play(act, "die", "", patience=Patience(wait=10))


def test_an_engine_that_only_dies_is_given_up(play: Play) -> None:
    async def act(scene: Scene) -> None:
        scene.lives[1].startless = True
        answer = await scene.chat()
        assert answer.json()["error"]["code"] == "engine_died"
        await asyncio.sleep(0.1)
        for answer in (await scene.http.get("/health"), await scene.chat()):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "engine_dead"
            assert "3 times" in answer.json()["error"]["message"]

    play(act, "die", "", "die", patience=Patience(deaths=3, first_pause=0))


def test_an_answer_is_a_new_beginning(play: Play) -> None:
    async def act(scene: Scene) -> None:
        for _ in range(3):
            assert (await scene.chat()).status_code == 200
        assert (await scene.http.get("/health")).status_code == 200

    play(act, "die", "answer die", "answer die", "", patience=Patience(deaths=2, first_pause=0))


def test_deaths_long_ago_do_not_count(play: Play) -> None:
    async def act(scene: Scene) -> None:
        for life in scene.lives[:3]:
            await asyncio.sleep(0.1)
            life.die()
            await _healthy(scene)

    play(act, "", "", "", "", patience=Patience(deaths=2, window=0.05))


def test_adapters_are_loaded_again_and_leased_anew(play: Play, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        for seed, name in enumerate(("one", "two")):
            await _push(scene, tmp_path / name, seed, name)
        scene.lives[0].script = deque(["die"])
        answer = await scene.chat(model="one")
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "one@1 heard hello"
        await _until(lambda: scene.lifecycle.loaded() == ["one@1", "two@1"])
        assert len(scene.lives[1].held) == 2

    play(act, "", "")


def test_a_death_while_loading_again_loses_nothing(play: Play, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        for seed, name in enumerate(("one", "two")):
            await _push(scene, tmp_path / name, seed, name)
        second = scene.lives[1]

        async def add(_: Version) -> None:
            raise second.die()

        second.add = add  # type: ignore[method-assign]
        scene.lives[0].die()
        await _until(lambda: len(scene.lives[2].held) == 2)
        await _until(lambda: scene.lifecycle.loaded() == ["one@1", "two@1"])

    play(act, "", "", "")


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return Version("a", 1, "sha256:a", 8, "sha256:base", tmp_path, datetime.now(UTC))


def test_no_call_waits_for_a_dead_engine(play: Play, version: Version) -> None:
    async def act(scene: Scene) -> None:
        first, second, _ = scene.lives

        async def add(_: Version) -> None:
            await asyncio.sleep(60)

        second.add = add  # type: ignore[method-assign]
        for life, call in ((first, scene.engine.chat({}, None)), (second, scene.engine.add(version))):
            task = asyncio.create_task(call)
            await asyncio.sleep(0.02)
            life.die()
            with pytest.raises(EngineDied):
                await task
            await _healthy(scene)

    play(act, "hang", "", "")


def test_what_a_dead_engine_loaded_is_not_held(play: Play, version: Version) -> None:
    async def act(scene: Scene) -> None:
        first = scene.lives[0]

        async def add(_: Version) -> None:
            first.die()  # right after it confirmed the load

        first.add = add  # type: ignore[method-assign]
        lost = asyncio.create_task(scene.lifecycle.ensure_ready(version))
        with pytest.raises(EngineDied):
            await lost
        assert scene.lifecycle.state_of(version) is State.STORED, "nothing is wrong with it"
        await scene.lifecycle.ensure_ready(version)
        assert scene.lives[1].held == {served_name(version)}

    play(act, "", "")


def test_an_adapter_that_kills_the_engine_twice_has_failed(play: Play, version: Version) -> None:
    async def act(scene: Scene) -> None:
        for life in scene.lives[:2]:

            async def add(_: Version, life: Mortal = life) -> None:
                raise life.die()

            life.add = add  # type: ignore[method-assign]
        with pytest.raises(EngineDied):
            await scene.lifecycle.ensure_ready(version)
        with pytest.raises(ApiError, match="died 2 times"):
            await scene.lifecycle.ensure_ready(version)
        assert scene.lifecycle.state_of(version) is State.FAILED
        assert (await scene.chat()).status_code == 200

    play(act, "", "", "")


def test_what_is_not_held_any_more_is_not_asked_for(play: Play, version: Version) -> None:
    async def act(scene: Scene) -> None:
        async with scene.lifecycle.lease(version):
            scene.engine.adapters = None  # nobody to load it again
            scene.lives[0].die()
            await _healthy(scene)
            with pytest.raises(EngineDied):
                await scene.engine.chat({}, version)
            await scene.engine.remove(version)

    play(act, "", "")


def test_a_call_that_is_given_up_has_ended_on_return(play: Play) -> None:
    async def act(scene: Scene) -> None:
        task = asyncio.create_task(scene.engine.chat({}, None))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.lives[0].stopped == 1

    play(act, "hang")


async def _healthy(scene: Scene) -> None:
    scene.engine.trouble  # noqa: B018 - it notices
    await _until(lambda: scene.engine.trouble is None)


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def _push(scene: Scene, folder: Path, seed: int, name: str) -> None:
    """Upload an adapter for the scene's base, live on return."""
    settings = scene.app.state.settings
    tiny.make_adapter(folder, tiny.Base(settings.folder, settings.base), seed)
    opened = await scene.http.post(f"/v1/adapters/{name}/uploads", json=announce(folder, ["default"]))
    upload = opened.json()["upload"]
    for file in ADAPTER_FILES:
        await scene.http.put(f"/v1/uploads/{upload}/{file}", content=(folder / file).read_bytes())
    done = await scene.http.post(f"/v1/uploads/{upload}/commit")
    assert done.status_code < 300, done.text
