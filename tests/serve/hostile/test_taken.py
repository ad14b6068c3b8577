"""What the guards let through: the adapter that all attacks begin with, and what is odd and harmless."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import virtual_time
from tests.serve.hostile.attack import MANIFEST, NAME, Files, World, announce, announcement, push, sign
from tests.serve.hostile.forge import Q_A, matrices, stored
from tests.serve.tiny import CONFIG, WEIGHTS


def test_the_adapter_that_all_of_them_begin_with_is_taken(fresh: World) -> None:
    answer = push(fresh.http, fresh.files)
    assert answer.status_code == 200, answer.text
    assert [one.name for one in fresh.server.registry.adapters()] == [NAME]


def test_what_a_report_says_can_be_shown(fresh: World) -> None:
    """Names of metrics are a stranger's text too."""
    plain = {"model": "mine", "task": "tools", "measure": "accuracy", "low": None, "high": None}
    metrics = [plain | {"value": 0.5, "n": 2, "unscored": 0}]
    metrics += [metrics[0] | {"model": name} for name in ("\x1b[2J", "n" * 1000)]
    metrics += [
        metrics[0] | {"category": "one of its parts", "value": 0.1},
        metrics[0] | {"task": "none", "value": None},
    ]
    files: Files = fresh.files | {"report.json": json.dumps({"metrics": metrics}).encode()}
    assert push(fresh.http, files).is_success
    shown = fresh.http.get("/v1/adapters/victim/versions/1").json()["provenance"]["report"]
    names = ["mine tools accuracy", "\\x1b[2J tools accuracy", "n" * 80]
    assert shown == dict.fromkeys(names, 0.5)


@pytest.mark.parametrize("metrics", [[], {}, {"accuracy": 0.5}, [{"model": "mine"}], None, [[]], 7])
def test_a_report_that_measured_nothing_is_taken(fresh: World, metrics: Any) -> None:
    report = json.dumps({"metrics": metrics}).encode()
    files: Files = fresh.files | {"report.json": report, "README.md": b"\xff\0"}
    assert push(fresh.http, files).is_success
    assert fresh.http.get("/v1/adapters/victim/versions/1").json()["provenance"]["report"] == {}


def test_text_of_all_the_world_is_allowed_where_people_read(fresh: World) -> None:
    """What is forbidden is what a terminal obeys, not what people write."""
    manifest = json.loads(fresh.files[MANIFEST])
    manifest["name"] = "Atenção, 日本語, عربي, 👩‍🔧 \u00a0"
    manifest["recipe"] = {"notes": "line\nline \ud83d\ude00"}
    files: Files = fresh.files | {MANIFEST: json.dumps(manifest).encode()}
    assert push(fresh.http, files).is_success
    told = fresh.http.get("/v1/adapters/victim/versions/1").json()["provenance"]
    assert told["trained_as"] == manifest["name"]


@pytest.mark.parametrize("name", [None, "", "tiny-awq"])
def test_a_config_may_name_its_own_base(fresh: World, name: str | None) -> None:
    config = json.loads(fresh.files[CONFIG]) | {"base_model_name_or_path": name}
    files: Files = fresh.files | {CONFIG: json.dumps(config).encode()}
    sign(files)
    assert push(fresh.http, files).is_success


def test_an_alias_said_twice_is_said_once(fresh: World) -> None:
    body = announcement(fresh.files) | {"aliases": ["default", "default"]}
    assert push(fresh.http, fresh.files, body).is_success
    assert fresh.http.get("/v1/adapters/victim").json()["aliases"] == {"default": 1}


def test_what_comes_slowly_but_steadily_is_waited_for(fresh: World) -> None:
    """The time is up more than once, each time with more than a trickle in it."""
    files: Files = fresh.files | {"README.md": b"x" * 4 * 2**13}
    upload = announce(fresh.http, announcement(files)).json()["upload"]
    stall = fresh.server.app.state.settings.stall_seconds

    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    async def scene() -> None:
        parts: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "http", "method": "PUT", "path": f"/v1/uploads/{upload}/README.md"}
        more = {"query_string": b"", "headers": [(b"authorization", f"Bearer {fresh.server.key}".encode())]}
        answering = asyncio.create_task(fresh.server.app(scope | more, parts.get, send))
        for number in range(4):
            parts.put_nowait({"type": "http.request", "body": b"x" * 2**13, "more_body": number < 3})
            await asyncio.sleep(0.4 * stall)
        await answering

    _, seconds = virtual_time.run(virtual_time.took(scene()))
    assert told[0]["status"] == 204, told
    assert seconds > 1.5 * stall
    fresh.assert_untouched()


@pytest.mark.parametrize(
    ("change", "status"),
    [(lambda t: None, 200), (lambda t: t[Q_A].put(0, np.nan), 400), (lambda t: t.clear(), 400)],
    ids=["zeros", "NaN", "nothing"],
)
def test_no_effect_may_be_meant_and_no_other_fault(
    fresh: World, change: Callable[[dict[str, Any]], object], status: int
) -> None:
    tensors = {name: np.zeros_like(value) for name, value in matrices(fresh.files[WEIGHTS]).items()}
    change(tensors)
    files: Files = fresh.files | {WEIGHTS: stored(tensors)}
    sign(files)
    assert push(fresh.http, files, announcement(files) | {"allow_noop": True}).status_code == status


def test_an_answer_may_take_longer_than_a_body(tmp_path: Path) -> None:
    """Only the body has to come in time: whoever waits for an answer is silent, and right to be."""
    with World.made(tmp_path, stall_seconds=0.5) as world:
        engine = world.server.engine
        chat = engine.chat

        async def slow(*asked: Any) -> AsyncIterator[str]:
            events = await chat(*asked)
            assert not isinstance(events, dict)

            async def slowly() -> AsyncIterator[str]:
                async for event in events:
                    await asyncio.sleep(0.6)
                    yield event

            return slowly()

        engine.chat = slow  # type: ignore[method-assign]
        question = {"model": "tiny-awq", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
        answer = world.http.post("/v1/chat/completions", json=question)
        assert answer.text.endswith("data: [DONE]\n\n")
