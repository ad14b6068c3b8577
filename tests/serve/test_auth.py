"""Who may ask what: every route of the app, every scope, keys that lapse, keys of their own adapters."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from data.errors import UserError
from serve.registry.keys import SCOPES, Keys
from tests.serve import tiny
from tests.serve.test_adapter_routes import announce, error, push
from tests.serve.tiny import Base, TinyServer

OPEN = {("GET", "/health")}

NEEDED = {
    ("GET", "/openapi.json"): "chat",
    ("GET", "/metrics"): "chat",
    ("GET", "/v1/models"): "chat",
    ("GET", "/v1/base"): "push",
    ("POST", "/v1/chat/completions"): "chat",
    ("GET", "/v1/adapters"): "push",
    ("GET", "/v1/adapters/{adapter}"): "push",
    ("POST", "/v1/adapters/{adapter}/uploads"): "push",
    ("GET", "/v1/adapters/{adapter}/versions/{version}"): "push",
    ("GET", "/v1/adapters/{adapter}/versions/{version}/files/{file}"): "push",
    ("GET", "/v1/adapters/{adapter}/aliases/{alias}"): "push",
    ("PUT", "/v1/adapters/{adapter}/aliases/{alias}"): "push",
    ("POST", "/v1/adapters/{adapter}/aliases/{alias}/rollback"): "push",
    ("GET", "/v1/adapters/{adapter}/aliases/{alias}/policy"): "push",
    ("PUT", "/v1/adapters/{adapter}/aliases/{alias}/policy"): "admin",
    ("DELETE", "/v1/adapters/{adapter}/aliases/{alias}/policy"): "admin",
    ("POST", "/v1/adapters/{adapter}/versions/{version}/reports"): "push",
    ("GET", "/v1/uploads"): "push",
    ("GET", "/v1/uploads/{upload}"): "push",
    ("DELETE", "/v1/uploads/{upload}"): "push",
    ("PUT", "/v1/uploads/{upload}/{file}"): "push",
    ("POST", "/v1/uploads/{upload}/commit"): "push",
    ("PUT", "/v1/adapters/{adapter}/versions/{version}/pin"): "admin",
    ("DELETE", "/v1/adapters/{adapter}/versions/{version}/pin"): "admin",
    ("DELETE", "/v1/adapters/{adapter}/versions/{version}"): "admin",
    ("POST", "/v1/keys"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("DELETE", "/v1/keys/{name}"): "admin",
    ("PUT", "/v1/keys/{name}/limits"): "admin",
    ("GET", "/v1/usage"): "chat",
    ("POST", "/v1/registry/gc"): "admin",
    ("GET", "/v1/registry/fsck"): "admin",
}
"""Written by hand: the scope that each route is meant to ask for."""


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    return tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))


@pytest.fixture
def http(server: TinyServer) -> Iterator[TestClient]:
    with TestClient(server.app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def keys(server: TinyServer) -> Keys:
    return server.registry.storage.keys


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def routes(server: TinyServer) -> set[tuple[str, str]]:
    """Every route and method that the app answers, asked of the app."""
    found = set()
    for route in server.app.router.routes:
        for inner in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(inner, APIRoute):
                found |= {(method, inner.path) for method in inner.methods}
    return found


def path(template: str) -> str:
    filled = template.replace("{version}", "1").replace("{upload}", "0" * 32)
    return re.sub(r"\{\w+\}", "support", filled)


def test_the_table_has_every_route_of_the_app(server: TinyServer) -> None:
    assert routes(server) == set(NEEDED) | OPEN


@pytest.mark.parametrize(("method", "template"), sorted(NEEDED))
def test_every_route_without_a_good_key_is_401(
    http: TestClient, keys: Keys, method: str, template: str
) -> None:
    revoked = keys.create("old", ["admin"])
    keys.revoke("old")
    wrong = ["", "Bearer", "Bearer x", "Bearer enx_" + "a" * 43, "Basic YTpi", f"Bearer {revoked}"]
    for header in (None, *wrong):
        headers = {} if header is None else {"authorization": header}
        broken = {**headers, "content-type": "application/json"}
        for answer in (
            http.request(method, path(template), headers=headers),
            http.request(method, path(template), headers=broken, content=b"{"),
            http.request(method, path(template), headers=broken, content=b'"\xff"'),
            http.request(method, path(template), headers=broken, content=b"[" * 100_000),
        ):
            error(answer, 401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_key(http: TestClient) -> None:
    assert http.get("/health").status_code == 200


@pytest.mark.parametrize(("method", "template"), sorted(NEEDED))
@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_routes_and_no_others(
    http: TestClient, keys: Keys, method: str, template: str, scope: Any
) -> None:
    secret = keys.create("one", [scope])
    answer = http.request(method, path(template), headers=bearer(secret))
    if SCOPES.index(scope) < SCOPES.index(NEEDED[method, template]):  # type: ignore[arg-type]
        assert NEEDED[method, template] in error(answer, 403, "insufficient_scope")
    else:
        assert answer.status_code not in (401, 403), answer.text


def test_a_key_ends(
    http: TestClient, keys: Keys, server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    secret = keys.create("brief", ["chat"], expires=ends)
    assert http.get("/v1/models", headers=bearer(secret)).status_code == 200

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return ends + timedelta(seconds=1)

    monkeypatch.setattr("serve.registry.keys.datetime", Later)
    assert "'brief' expired on" in error(
        http.get("/v1/models", headers=bearer(secret)), 401, "invalid_api_key"
    )


def test_keys_are_made_listed_and_revoked_over_http(http: TestClient, server: TinyServer) -> None:
    body = {"name": "shop", "scopes": ["chat", "chat"], "adapters": ["support"]}
    made = http.post("/v1/keys", json=body, headers=server.headers)
    assert made.status_code == 201
    secret = made.json()["secret"]
    listed = http.get("/v1/keys", headers=server.headers)
    (card,) = [one for one in listed.json()["data"] if one["name"] == "shop"]
    assert (card["scopes"], card["adapters"], card["revoked"]) == (["chat"], ["support"], None)
    assert secret not in listed.text
    assert http.get("/v1/models", headers=bearer(secret)).status_code == 200
    assert http.delete("/v1/keys/shop", headers=server.headers).json()["revoked"]
    assert "was revoked" in error(http.get("/v1/models", headers=bearer(secret)), 401, "invalid_api_key")
    error(http.post("/v1/keys", json=body, headers=server.headers), 400, "invalid_request")
    error(http.delete("/v1/keys/none", headers=server.headers), 404, "key_not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Shop"}, {"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"adapters": ["../x"]},
        {"expires": "2020-01-01T00:00:00Z"}, {"expires": "2030-01-01T00:00:00"}, {"more": 1},
    ],
)  # fmt: skip
def test_a_bad_key_is_not_made(http: TestClient, server: TinyServer, change: dict[str, Any]) -> None:
    body = {"name": "shop", "scopes": ["chat"]} | change
    error(http.post("/v1/keys", json=body, headers=server.headers), 400, "invalid_request")
    assert len(server.registry.storage.keys.all()) == 1


@pytest.mark.parametrize(("method", "path"), [route for route in NEEDED if route[0] in ("POST", "PUT")])
def test_the_key_is_asked_for_before_the_body_is_read(http: TestClient, method: str, path: str) -> None:
    answer = http.request(method, path, content=b"{", headers={"content-type": "application/json"})
    error(answer, 401, "invalid_api_key")


def test_no_secret_lies_in_the_database(server: TinyServer, tmp_path: Path) -> None:
    stored = (tmp_path / "registry" / "index.sqlite").read_bytes()
    assert server.key.encode() not in stored
    assert server.key.removeprefix("enx_").encode() not in stored


def test_a_key_reaches_its_own_adapters_and_learns_of_no_others(
    http: TestClient, server: TinyServer, keys: Keys, tmp_path: Path
) -> None:
    base = Base(tmp_path / "base", server.app.state.settings.base)
    http.headers.update(server.headers)
    for seed, name in enumerate(("support", "sql")):
        push(http, tiny.make_adapter(tmp_path / name, base, seed), ["default"], name)
    opened = http.post("/v1/adapters/sql/uploads", json=announce(tmp_path / "sql", [])).json()["upload"]
    http.headers.update(bearer(keys.create("team", ["push"], adapters=["support"])))
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    base_name = server.app.state.settings.base.name
    for model in ("support", base_name):
        assert http.post("/v1/chat/completions", json=chat | {"model": model}).status_code == 200
    assert http.get("/v1/adapters/support").status_code == 200
    assert [one["name"] for one in http.get("/v1/adapters").json()["data"]] == ["support"]
    assert [one["id"] for one in http.get("/v1/models").json()["data"]] == [base_name, "support"]
    refused = [
        http.post("/v1/chat/completions", json=chat | {"model": "sql"}),
        http.post("/v1/chat/completions", json=chat | {"model": "sql@1"}),
        http.post("/v1/chat/completions", json=chat | {"model": base_name, "adapter": "sql:default"}),
        http.post("/v1/chat/completions", json=chat | {"model": "nothing"}),
        http.get("/v1/adapters/sql"),
        http.get("/v1/adapters/nothing"),
        http.get("/v1/adapters/sql/versions/1"),
        http.get("/v1/adapters/sql/versions/1/files/manifest.json"),
        http.post("/v1/adapters/sql/uploads", json=announce(tmp_path / "sql", [])),
        http.get("/v1/adapters/sql/aliases/default"),
        http.put("/v1/adapters/sql/aliases/default", json={"version": 1}),
        http.post("/v1/adapters/sql/aliases/default/rollback"),
        http.get(f"/v1/uploads/{opened}"),
        http.put(f"/v1/uploads/{opened}/manifest.json", content=b"x"),
        http.post(f"/v1/uploads/{opened}/commit"),
    ]
    for answer in refused:
        error(answer, 403, "adapter_not_allowed")
    http.headers.update(bearer(keys.create("typist", ["push"], adapters=["sqll"])))
    for answer in (
        http.post("/v1/chat/completions", json=chat | {"model": "sqll"}),
        http.get("/v1/adapters/sqll"),
    ):
        assert "no name is near" in error(answer, 404, "model_not_found")


def test_who_pushed_and_who_moved_is_written_down(
    http: TestClient, server: TinyServer, keys: Keys, tmp_path: Path
) -> None:
    base = Base(tmp_path / "base", server.app.state.settings.base)
    http.headers.update(bearer(keys.create("ana", ["push"])))
    push(http, tiny.make_adapter(tmp_path / "a", base), ["default"])
    shown = http.get("/v1/adapters/support").json()
    assert shown["versions"][0]["pushed_by"] == "ana"
    assert shown["history"][0]["by"] == "ana"


def test_a_key_of_nothing_is_refused(keys: Keys) -> None:
    with pytest.raises(UserError, match="scopes are of chat, push, admin"):
        keys.create("x", [])
    with pytest.raises(UserError, match="there is a key"):
        keys.create("y", ["chat"]), keys.create("y", ["chat"])
