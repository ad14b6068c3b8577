"""Finding 9: `cached_tokens` told one key what another had asked. Prefixes are kept apart by key or group."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from data.errors import UserError
from serve.engine.protocol import Answer
from serve.registry.records import Version
from tests.serve import tiny
from tests.serve.test_adapter_routes import error
from tests.serve.tiny import Base, TinyEngine, TinyServer


class Remembering(TinyEngine):
    """Counts as cached what it was asked before, told apart as vLLM tells it: by salt, adapter and text."""

    def __init__(self, base_name: str) -> None:
        super().__init__(base_name)
        self.seen: set[tuple[str, str, str]] = set()

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        text = body["messages"][0]["content"]
        place = (body.get("cache_salt", ""), version.name if version else "", text)
        cached = len(text) if place in self.seen else 0
        self.seen.add(place)
        answer = await super().chat(body | {"stream": False}, version)
        assert isinstance(answer, dict)
        details = {"cached_tokens": cached}
        usage = {"prompt_tokens": len(text), "completion_tokens": 1, "prompt_tokens_details": details}
        return answer | {"usage": usage}


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny.make_base(tmp_path / "base")


def server_of(tmp_path: Path, base: Base) -> TinyServer:
    server = tiny.make_server(tmp_path / "registry", base)
    engine = Remembering(base.manifest.name)
    server.app.state.engine = engine
    return TinyServer(server.app, engine, server.registry, server.key)


def cached(server: TinyServer, secret: str, said: str = "A system prompt.", **more: Any) -> int:
    body = {"messages": [{"role": "user", "content": said}], **more}
    headers = {"authorization": f"Bearer {secret}"}
    answer = TestClient(server.app).post("/v1/chat/completions", json=body, headers=headers)
    assert answer.is_success, answer.text
    found: int = answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    return found


def test_a_key_learns_of_its_own_requests_alone(tmp_path: Path, base: Base) -> None:
    server = server_of(tmp_path, base)
    keys = server.registry.storage.keys
    one, other = (keys.create(name, ["chat"]) for name in ("one", "other"))
    assert [cached(server, key) > 0 for key in (one, one, other, other)] == [False, True, False, True]
    assert cached(server, server.key) == 0, "nor is there one salt for those that may do more"
    server.registry.close()


def test_keys_of_a_group_share_and_no_name_is_taken_for_a_group(tmp_path: Path, base: Base) -> None:
    server = server_of(tmp_path, base)
    keys = server.registry.storage.keys
    web, app = (keys.create(name, ["chat"], group="shop") for name in ("web", "app"))
    namesake = keys.create("shop", ["chat"])
    elsewhere = keys.create("web2", ["chat"], group="web")
    assert [cached(server, key) > 0 for key in (web, app, namesake, elsewhere)] == [False, True, False, False]
    server.registry.close()


def test_the_salt_is_the_servers_own(tmp_path: Path, base: Base) -> None:
    server = server_of(tmp_path, base)
    headers = {"authorization": f"Bearer {server.key}"}
    body = {"messages": [{"role": "user", "content": "Hi"}], "cache_salt": "theirs"}
    refused = TestClient(server.app).post("/v1/chat/completions", json=body, headers=headers)
    assert "cache_salt" in error(refused, 400, "unknown_field")
    cached(server, server.key)
    assert isinstance(server.engine, Remembering)
    (salt,) = {salt for salt, _, _ in server.engine.seen}
    assert len(salt) == 64
    server.registry.close()
    again = server_of(tmp_path, base)
    cached(again, server.key)
    assert isinstance(again.engine, Remembering)
    assert salt not in {salt for salt, _, _ in again.engine.seen}, "it cannot be computed from a name"
    again.registry.close()


def test_a_group_is_a_name(tmp_path: Path, base: Base) -> None:
    server = server_of(tmp_path, base)
    with pytest.raises(UserError, match="group"):
        server.registry.storage.keys.create("x", ["chat"], group="../../x")
    server.registry.close()
