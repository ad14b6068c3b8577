"""Uploads of strangers: no bytes by their digest, none that nobody can end, none behind a lapsed key."""

import asyncio
import os
import shutil
import socket
import time
from collections import namedtuple
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest

from data import digest
from serve import auth
from serve.app import create_app
from serve.client import push as pushing
from serve.lifecycle import Bounds, Lifecycle
from serve.registry import staging
from serve.registry.collect import collect
from serve.registry.tables import KeyRow
from serve.routes.uploads import BLOCK_BYTES
from tests.adversarial.pushed import World, world
from tests.serve.talking import TalkingEngine
from tests.serve.test_adapter_routes import announce, error
from tests.serve.test_client import listening
from tests.serve.tiny import CONFIG, WEIGHTS
from tests.waiting import PATIENCE, eventually


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def begin(there: World) -> str:
    """An upload of `mine`, of which nothing came yet."""
    opened = there.http.post("/v1/adapters/mine/uploads", json=announce(there.adapter(1), []))
    return str(opened.json()["upload"])


def test_bytes_are_not_had_by_their_digest(there: World) -> None:
    """Neither by who pushes to another adapter, nor is it told which files there are."""
    there.push("victim", 1)
    mine = there.key("mine", "push", adapters=["mine"])
    opened = there.http.post("/v1/adapters/mine/uploads", json=announce(there.adapter(1), []), headers=mine)
    assert set(opened.json()["missing"]) == {CONFIG, WEIGHTS, "manifest.json"}
    refused = there.http.post(f"/v1/uploads/{opened.json()['upload']}/commit", headers=mine)
    error(refused, 409, "upload_incomplete")


def test_what_a_key_made_or_removed_itself_need_not_come_again(there: World) -> None:
    mine = there.key("mine", "push", adapters=["mine", "other"])
    there.push("mine", 1)
    there.http.delete("/v1/adapters/mine/versions/1")
    body = announce(there.adapter(1), [])
    for name in ("mine", "other"):
        opened = there.http.post(f"/v1/adapters/{name}/uploads", json=body, headers=mine)
        assert opened.json()["missing"] == []


def test_a_key_for_all_adapters_has_all_bytes(there: World) -> None:
    there.push("victim", 1)
    body, everywhere = announce(there.adapter(1), []), there.key("all", "push")
    assert there.http.post("/v1/adapters/mine/uploads", json=body, headers=everywhere).json()["missing"] == []
    new = there.key("new", "push", adapters=["nothing-yet"])
    opened = there.http.post("/v1/adapters/nothing-yet/uploads", json=body, headers=new)
    assert len(opened.json()["missing"]) == 3


def test_one_key_keeps_nobody_out(there: World) -> None:
    body = announce(there.adapter(1), [])
    greedy, honest = there.key("greedy", "push"), there.key("honest", "push")

    def began(key: dict[str, str]) -> Any:
        return there.http.post("/v1/adapters/mine/uploads", json=body, headers=key)

    begun = [began(greedy) for _ in range(staging.MAX_OF_KEY)]
    assert all(one.status_code == 201 for one in begun)
    why = error(began(greedy), 409, "upload_busy")
    assert "uploads of the key 'greedy' are under way" in why
    assert began(honest).status_code == 201
    ended = there.http.delete(f"/v1/uploads/{begun[0].json()['upload']}", headers=greedy)
    assert ended.json()["ended"] is True
    assert began(greedy).status_code == 201


def test_who_may_end_an_upload(there: World) -> None:
    body = announce(there.adapter(1), [])
    mine, others = there.key("mine", "push", adapters=["mine"]), there.key("x", "push", adapters=["theirs"])
    upload = there.http.post("/v1/adapters/mine/uploads", json=body, headers=mine).json()["upload"]
    assert there.http.get("/v1/uploads", headers=others).json()["data"] == []
    error(there.http.delete(f"/v1/uploads/{upload}", headers=others), 403, "adapter_not_allowed")
    listed = there.http.get("/v1/uploads").json()["data"]
    assert [(one["upload"], one["adapter"], one["by"]) for one in listed] == [(upload, "mine", "mine")]
    assert there.http.delete(f"/v1/uploads/{upload}").status_code == 200, "an administrator may"
    error(there.http.delete(f"/v1/uploads/{upload}"), 404, "upload_not_found")


def test_gc_ends_those_that_are_as_old_as_it_is_told(there: World) -> None:
    there.http.post("/v1/adapters/mine/uploads", json=announce(there.adapter(1), []))
    assert there.http.post("/v1/registry/gc?days=0").json()["uploads"] == 0
    assert there.http.post("/v1/registry/gc?uploads=0").json()["uploads"] == 1


def test_what_was_announced_is_kept_free(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In sum: each of three adapters would fit by itself, and what came of one is no longer to come."""
    body = announce(there.adapter(1), [])
    size = sum(entry["size"] for entry in body["files"].values())
    usage = namedtuple("usage", "total used free")
    free = staging.SPARE_BYTES + 2 * size + size // 2
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free, 0, free))
    uploads = [there.http.post("/v1/adapters/mine/uploads", json=body) for _ in range(3)]
    assert [one.status_code for one in uploads] == [201, 201, 507]
    assert f"{2 * size} are for uploads under way" in error(uploads[2], 507, "storage_full")
    weights = (there.adapter(1) / WEIGHTS).read_bytes()
    there.http.put(f"/v1/uploads/{uploads[0].json()['upload']}/{WEIGHTS}", content=weights)
    assert there.http.post("/v1/adapters/mine/uploads", json=body).status_code == 201


def test_an_upload_that_still_grows_is_not_cleared(there: World) -> None:
    """Its folders are as old as its beginning; the file that comes is not."""
    store = there.server.registry.storage
    upload = begin(there)
    folder = there.folder / "registry" / "staging" / upload
    part = folder / "parts" / WEIGHTS
    part.write_bytes(b"so far")
    past = time.time() - 2 * staging.STALE_SECONDS
    for path in (folder, *folder.iterdir()):
        os.utime(path, (past, past))
    assert collect(store).uploads == 0
    os.utime(part, (past, past))
    with store.staging.receive(upload, WEIGHTS, 6):
        assert collect(store, unfinished=timedelta(seconds=-1)).uploads == 0, "somebody is sending it"
    assert collect(store, unfinished=timedelta(seconds=-1)).uploads == 1


def test_what_comes_for_an_upload_that_was_ended_is_not_kept(there: World) -> None:
    store = there.server.registry.storage.staging
    upload = begin(there)
    with store.receive(upload, WEIGHTS) as incoming:
        incoming.write(b"x")
        assert there.http.delete(f"/v1/uploads/{upload}").status_code == 200
        with pytest.raises(staging.UnknownUpload):
            incoming.write(b"x")


def test_the_client_leaves_none_behind(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", there.server.key)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pushing, "_send", interrupted)
    with listening(there.server.app) as url, pytest.raises(KeyboardInterrupt):
        pushing.push(there.adapter(1), "mine", [], url)
    assert there.server.registry.storage.staging.all() == []


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_an_upload_ends_with_its_key(there: World, how: str) -> None:
    """Bytes that come after it are not taken, however steadily they come."""
    weights = bytes(3 * BLOCK_BYTES)
    body = announce(there.adapter(1), [])
    body["files"][WEIGHTS] = {"sha256": digest.of_bytes(weights), "size": len(weights)}
    key = there.key("leaving", "push")
    with listening(there.server.app) as url:
        opened = httpx.post(
            f"{url}/v1/adapters/mine/uploads", json=body, headers=key, timeout=PATIENCE
        ).json()
        head = (
            f"PUT /v1/uploads/{opened['upload']}/{WEIGHTS} HTTP/1.1\r\nhost: x\r\n"
            f"content-length: {len(weights)}\r\nauthorization: {key['authorization']}\r\n\r\n"
        )
        upload = there.folder / "registry" / "staging" / opened["upload"]
        part = upload / "parts" / WEIGHTS
        with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 80), PATIENCE) as line:
            line.sendall(head.encode() + weights[:BLOCK_BYTES])
            eventually(lambda: part.is_file() and part.stat().st_size >= BLOCK_BYTES)
            if how == "revoked":
                there.server.registry.revoke_key("leaving")
            else:
                expire(there, "leaving")
            line.sendall(weights[BLOCK_BYTES:])
            assert line.recv(64).startswith(b"HTTP/1.1 401 ")
        assert not (upload / "files" / WEIGHTS).exists()


def test_a_stream_ends_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LOOK_AGAIN", 0)
    with world(tmp_path) as there:
        server = there.server
        engine = Steady(there.base.manifest.name)
        settings = server.app.state.settings
        lifecycle = Lifecycle(engine, server.registry.make_ready, Bounds.of(settings))
        key = there.key("leaving", "chat")
        body = {"model": "tiny-awq", "messages": [{"role": "user", "content": "go"}], "stream": True}
        with (
            listening(create_app(settings, server.registry, engine, lifecycle)) as url,
            httpx.stream(
                "POST", f"{url}/v1/chat/completions", json=body, headers=key, timeout=PATIENCE
            ) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            server.registry.revoke_key("leaving")
            end = time.monotonic() + PATIENCE
            said = [line for line in takewhile(lambda _: time.monotonic() < end, lines) if line]
        assert '"code": "invalid_api_key"' in said[-2]
        assert said[-1] == "data: [DONE]"


def expire(there: World, name: str) -> None:
    with there.server.registry.storage.database.write() as session:
        session.get_one(KeyRow, name).expires = datetime.now(UTC)
    there.server.registry.look()


class Steady(TalkingEngine):
    """Goes on until it is stopped."""

    async def chat(self, body: dict[str, Any], version: Any) -> AsyncGenerator[str, None]:  # type: ignore[override]
        return self._on()

    async def _on(self) -> AsyncGenerator[str, None]:
        while True:
            yield 'data: {"choices":[{"index":0,"delta":{"content":"on "}}]}\n\n'
            await asyncio.sleep(0.005)
