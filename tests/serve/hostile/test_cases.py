"""Every hand-written attack on a real server over a real socket, and what holds after each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.registry.records import UnknownUpload
from tests.serve.hostile.attack import (
    Files,
    World,
    announce,
    announcement,
    connected,
    push,
    sentence,
    sign,
    wire,
)
from tests.serve.hostile.cases import CASES
from tests.serve.tiny import CONFIG, WEIGHTS

MOST_SECONDS = 2


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all attacks: what one of them left behind would show in the next."""
    with World.made(tmp_path_factory.mktemp("hostile"), stall_seconds=1) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    with World.made(tmp_path) as made:
        yield made


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("attempt", CASES)
def test_a_hostile_upload_is_refused(world: World, attempt: str) -> None:
    act, words = CASES[attempt]
    began = time.monotonic()
    response = act(world.http, dict(world.files))
    seconds = time.monotonic() - began
    assert words in sentence(response)
    assert seconds < MOST_SECONDS
    world.assert_untouched()


def test_the_adapter_that_all_of_them_begin_with_is_taken(fresh: World) -> None:
    answer = push(fresh.http, fresh.files)
    assert answer.status_code == 200, answer.text
    assert [one.name for one in fresh.server.registry.adapters()] == ["victim"]


def test_stored_bytes_are_not_read_as_a_smaller_file(fresh: World) -> None:
    """Bytes in the store are not sent again, so that nothing but their size says that they are too many."""
    assert push(fresh.http, fresh.files).is_success
    body = announcement(fresh.files)
    body["files"][CONFIG] = body["files"][WEIGHTS] | {"size": 1}
    why = sentence(announce(fresh.http, body))
    assert f"{CONFIG} has {len(fresh.files[WEIGHTS])} bytes, not the 1 announced" in why
    assert fresh.uploads() == []


def test_what_a_report_says_can_be_shown(fresh: World) -> None:
    """Names of metrics are a stranger's text too."""
    metrics = {"accuracy": 0.5, "\x1b[2J": 1, "n" * 1000: 2, "words": "no number"}
    files: Files = fresh.files | {"report.json": json.dumps({"metrics": metrics}).encode()}
    assert push(fresh.http, files).is_success
    shown = fresh.http.get("/v1/adapters/victim/versions/1").json()["provenance"]["report"]
    assert shown == {"accuracy": 0.5, "\\x1b[2J": 1, "n" * 80: 2}


def test_a_report_without_metrics_is_taken(fresh: World) -> None:
    files: Files = fresh.files | {"report.json": b'{"metrics": []}', "README.md": b"\xff\0"}
    assert push(fresh.http, files).is_success
    assert fresh.http.get("/v1/adapters/victim/versions/1").json()["provenance"]["report"] == {}


def test_text_of_all_the_world_is_allowed_where_people_read(fresh: World) -> None:
    """What is forbidden is what a terminal obeys, not what people write."""
    manifest = json.loads(fresh.files["manifest.json"])
    manifest["name"] = "Atenção, 日本語, عربي, 👩‍🔧 \u00a0"
    manifest["recipe"] = {"notes": "line\nline \ud83d\ude00"}
    files: Files = fresh.files | {"manifest.json": json.dumps(manifest).encode()}
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


def test_an_upload_that_ends_while_it_is_asked_for_is_not_found(fresh: World) -> None:
    """Between its announcement being read and its file being opened, somebody else committed it."""
    upload = announce(fresh.http, announcement(fresh.files)).json()["upload"]
    staging = fresh.server.registry.staging
    known = staging.announced(upload)
    staging.clear(older_than=-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "announced", lambda _: known)
        response: httpx.Response = fresh.http.put(f"/v1/uploads/{upload}/{CONFIG}", content=b"x")
    assert response.status_code == 404
    assert "is over" in sentence(response)


def test_an_upload_that_ends_while_it_comes_is_not_found(fresh: World) -> None:
    upload = announce(fresh.http, announcement(fresh.files)).json()["upload"]
    staging = fresh.server.registry.staging
    with staging.receive(upload, CONFIG) as incoming:
        incoming.write(fresh.files[CONFIG])
        staging.clear(older_than=-1)
        with pytest.raises(UnknownUpload, match="is over"):
            incoming.finish()


def test_a_head_at_a_trickle_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the first on a connection, nor the next on one that is kept open."""
    monkeypatch.setattr("serve.heads.HEAD_SECONDS", 0.5)
    assert "did not come within 0.5 s" in sentence(wire(world.http, b"POST /v1/adapters HTTP/1.1\r\nx: "))
    with connected(world.http) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nG")
        told = b"".join(iter(lambda: line.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 200")
    assert told.endswith(b"did not come within 0.5 s; send it faster.")


def test_a_head_without_end_is_ended(world: World) -> None:
    headers = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(70))
    head = b"GET /health HTTP/1.1\r\nhost: x\r\n" + headers
    assert "is longer than 65536 bytes" in sentence(wire(world.http, head))


def test_an_answer_may_take_longer_than_a_body(tmp_path: Path) -> None:
    """Only the body has to come in time: whoever waits for an answer is silent, and right to be."""
    with World.made(tmp_path, stall_seconds=0.2) as world:
        engine = world.server.engine
        chat = engine.chat

        async def slow(*asked: Any) -> AsyncIterator[str]:
            events = await chat(*asked)
            assert not isinstance(events, dict)

            async def slowly() -> AsyncIterator[str]:
                async for event in events:
                    await asyncio.sleep(0.2)
                    yield event

            return slowly()

        engine.chat = slow  # type: ignore[method-assign]
        question = {"model": "tiny-awq", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
        answer = world.http.post("/v1/chat/completions", json=question)
        assert answer.text.endswith("data: [DONE]\n\n")
