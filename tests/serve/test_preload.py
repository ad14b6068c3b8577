"""What a server holds before anybody asks, and what a client sees when it asks for too much."""

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from data.errors import UserError
from serve.errors import ApiError
from serve.preload import held_before, named, preload
from serve.registry.records import UnknownAdapter, Version
from tests import virtual_time
from tests.serve import tiny
from tests.serve.test_adapter_routes import error
from tests.serve.tiny import Base, TinyServer
from tests.waiting import eventually

CHAT = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}


def start(tmp_path: Path, base: Base, **changes: object) -> TinyServer:
    return tiny.make_server(tmp_path / "registry", base, **changes)


@pytest.fixture
def versions(tmp_path: Path, base: Base) -> list[Version]:
    """Three of `support`, whose first is `default`, and one of `sql`."""
    server = start(tmp_path, base)
    made = []
    for seed, name in enumerate(("support", "support", "support", "sql")):
        adapter = tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed)
        made.append(server.registry.add(name, tiny.check_adapter(adapter, base)))
    server.registry.set_alias("support", "default", 1)
    server.registry.set_alias("support", "beta", 3)
    server.registry.close()
    return made


@pytest.mark.usefixtures("versions")
def test_what_is_named_is_loaded_before_the_server_serves(tmp_path: Path, base: Base) -> None:
    server = start(tmp_path, base, preload=("support:beta", "support", "sql@1", "support@1"))
    wanted = named(server.registry, server.app.state.settings)
    assert [one.reference for one in wanted] == ["support@3", "support@1", "sql@1"]
    asyncio.run(preload(server.app.state.lifecycle, wanted))
    assert server.app.state.lifecycle.loaded() == ["sql@1", "support@1", "support@3"]


@pytest.mark.usefixtures("versions")
def test_both_versions_of_a_canary_are_loaded(tmp_path: Path, base: Base) -> None:
    server = start(tmp_path, base, preload=("support",))
    server.registry.split("support", "default", 2, 10)
    wanted = named(server.registry, server.app.state.settings)
    assert [one.reference for one in wanted] == ["support@1", "support@2"]


@pytest.mark.usefixtures("versions")
def test_what_cannot_be_preloaded_is_said_in_a_sentence(tmp_path: Path, base: Base) -> None:
    server = start(tmp_path, base, preload=("suport",))
    with pytest.raises(UnknownAdapter, match="nearest names are support"):
        named(server.registry, server.app.state.settings)
    server = start(tmp_path, base, preload=("support", "sql@1"), max_loras=1)
    with pytest.raises(UserError, match=r"--preload names 2 versions, and 1 fit; .*--max-loras"):
        named(server.registry, server.app.state.settings)
    server = start(tmp_path, base, preload=("support",))
    server.engine.refuses = True
    with pytest.raises(ApiError, match="support@1 could not be loaded: the engine is full of sand"):
        wanted = named(server.registry, server.app.state.settings)
        asyncio.run(preload(server.app.state.lifecycle, wanted))


@pytest.mark.usefixtures("versions")
def test_a_version_that_failed_says_when_to_come_back_and_disturbs_no_other(
    tmp_path: Path, base: Base
) -> None:
    server = start(tmp_path, base)

    async def scene() -> None:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://tiny", headers=server.headers
        ) as http:
            server.engine.refuses = True
            for _ in range(2):
                refused = await http.post("/v1/chat/completions", json=CHAT)
                assert "the engine is full of sand" in error(refused, 503, "adapter_failed")
                assert int(refused.headers["retry-after"]) == 5
            server.engine.refuses = False
            error(await http.post("/v1/chat/completions", json=CHAT), 503, "adapter_failed")
            other = await http.post("/v1/chat/completions", json=CHAT | {"model": "sql@1"})
            assert other.is_success

    virtual_time.run(scene())
    server.registry.close()


def test_a_server_that_starts_again_holds_what_it_held(
    tmp_path: Path, base: Base, versions: list[Version]
) -> None:
    server = start(tmp_path, base)
    with TestClient(server.app, headers=server.headers) as http:
        for name in ("sql@1", "support"):
            assert http.post("/v1/chat/completions", json=CHAT | {"model": name}).is_success
        held = server.app.state.lifecycle.loaded()
        server.registry.storage.servers.alive("this one", server.app.state.settings.url, held)
    server.registry.close()
    again = start(tmp_path, base)
    assert held_before(again.registry, "http://127.0.0.1:9") == []
    with TestClient(again.app):
        eventually(lambda: again.app.state.lifecycle.loaded() == ["sql@1", "support@1"])
    again.registry.remove("sql", 1)
    assert [one.reference for one in held_before(again.registry, again.app.state.settings.url)] == [
        "support@1"
    ]
    again.registry.close()


def test_a_pinned_version_is_there_again_after_a_start(
    tmp_path: Path, base: Base, versions: list[Version]
) -> None:
    server = start(tmp_path, base)
    server.registry.pin("support", 2, True)
    with TestClient(server.app):
        eventually(lambda: server.app.state.lifecycle.loaded() == ["support@2"])
    server.registry.close()


@pytest.mark.parametrize(("model", "kind"), [("support", "adapter"), ("tiny-awq", "base")])
def test_past_the_bounds_a_client_is_told_to_come_back(
    tmp_path: Path, base: Base, versions: list[Version], model: str, kind: str
) -> None:
    server = start(tmp_path, base, max_inflight=1, max_queue=1, queue_seconds=30)
    held = versions[0] if kind == "adapter" else None

    async def scene() -> None:
        transport = httpx.ASGITransport(server.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://tiny", headers=server.headers) as http,
            server.app.state.lifecycle.lease(held),
        ):
            answers = await asyncio.gather(
                *(http.post("/v1/chat/completions", json=CHAT | {"model": model}) for _ in range(2))
            )
        for answer in answers:
            assert answer.headers["retry-after"] == "2"
        refused, waited = sorted(answers, key=lambda answer: answer.status_code)
        assert "1 requests in flight and 1 waiting, of 1 that may" in error(refused, 429, f"{kind}_busy")
        assert "let this request wait for 30 s" in error(waited, 503, f"{kind}_wait")
        async with httpx.AsyncClient(transport=transport, base_url="http://tiny") as http:
            fine = await http.post(
                "/v1/chat/completions", json=CHAT | {"model": model}, headers=server.headers
            )
        assert fine.is_success

    virtual_time.run(scene())
    server.registry.close()
