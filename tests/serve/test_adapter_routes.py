"""Upload, list and alias over HTTP, on the real app and lifecycle with an engine that obeys the protocol."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from data import digest
from data.manifest import ADAPTER_FILES
from tests.serve import tiny
from tests.serve.tiny import Base, TinyServer


@pytest.fixture
def http(server: TinyServer) -> Iterator[TestClient]:
    with TestClient(server.app, raise_server_exceptions=False, headers=server.headers) as client:
        yield client


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    return tiny.make_adapter(tmp_path / "adapter", base)


def announce(folder: Path, aliases: list[str], also: list[str] | None = None) -> dict[str, Any]:
    files = {
        name: {"sha256": digest.of_file(folder / name), "size": (folder / name).stat().st_size}
        for name in (*ADAPTER_FILES, *(also or ()))
    }
    return {"files": files, "aliases": aliases}


def upload(
    http: TestClient,
    folder: Path,
    aliases: list[str],
    name: str = "support",
    also: list[str] | None = None,
) -> Any:
    """Announce and send, files that need not be there `also`; the upload's id."""
    opened = http.post(f"/v1/adapters/{name}/uploads", json=announce(folder, aliases, also))
    assert opened.status_code == 201, opened.text
    for file in opened.json()["missing"]:
        sent = http.put(f"/v1/uploads/{opened.json()['upload']}/{file}", content=(folder / file).read_bytes())
        assert sent.status_code == 204, sent.text
    return opened.json()["upload"]


def push(
    http: TestClient,
    folder: Path,
    aliases: list[str],
    name: str = "support",
    also: list[str] | None = None,
) -> Any:
    return http.post(f"/v1/uploads/{upload(http, folder, aliases, name, also)}/commit")


def error(response: Any, status: int, code: str) -> str:
    """The message of an OpenAI error object, after looking at all of its shape."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    return str(body["error"]["message"])


def test_a_pushed_adapter_is_in_the_engine_when_the_commit_is_answered(
    http: TestClient, server: TinyServer, adapter: Path
) -> None:
    answer = push(http, adapter, ["default", "canary"])
    assert answer.status_code == 200, answer.text
    version = server.registry.resolve("support")
    assert answer.json() == {
        "name": "support",
        "version": 1,
        "digest": version.digest,
        "state": "ready",
        "aliases": ["default", "canary"],
    }
    assert server.engine.held == {f"support@{version.digest}"}
    assert {path.name for path in version.folder.iterdir()} == set(ADAPTER_FILES)
    for name in ADAPTER_FILES:
        sent = http.get(f"/v1/adapters/support/versions/1/files/{name}")
        assert sent.content == (adapter / name).read_bytes()
        assert sent.headers["etag"] == f'"{digest.of_bytes(sent.content)}"'


def test_the_same_files_again_are_the_same_version_and_are_not_sent_again(
    http: TestClient, adapter: Path
) -> None:
    first = push(http, adapter, ["default"]).json()
    opened = http.post("/v1/adapters/support/uploads", json=announce(adapter, ["default"])).json()
    assert opened["missing"] == []
    assert http.post(f"/v1/uploads/{opened['upload']}/commit").json() == first
    assert len(http.get("/v1/adapters/support").json()["versions"]) == 1


def test_list_and_show_tell_versions_aliases_and_moves(
    http: TestClient, adapter: Path, tmp_path: Path, base: Base
) -> None:
    push(http, adapter, ["default"])
    push(http, tiny.make_adapter(tmp_path / "second", base, seed=1), ["default"])
    shown = http.get("/v1/adapters/support").json()
    assert shown["aliases"] == {"default": 2}
    assert [(one["version"], one["rank"], one["state"]) for one in shown["versions"]] == [
        (1, 4, "ready"), (2, 4, "ready")
    ]  # fmt: skip
    assert [(move["previous"], move["version"]) for move in shown["history"]] == [(None, 1), (1, 2)]
    assert shown["versions"][0]["was"] == ["default"]
    assert shown["versions"][1]["held_by"] == ["default"]
    (listed,) = http.get("/v1/adapters").json()["data"]
    assert (listed["name"], listed["aliases"]) == ("support", {"default": 2})
    assert all(
        one.items() <= more.items() for one, more in zip(listed["versions"], shown["versions"], strict=True)
    )
    assert http.get("/v1/adapters/support/versions/2").json() == shown["versions"][1]
    assert error(http.get("/v1/adapters/suport"), 404, "model_not_found").count("support")


def test_a_list_comes_in_pages(http: TestClient, adapter: Path) -> None:
    for name in "abcde":
        push(http, adapter, [], name)
    first = http.get("/v1/adapters", params={"limit": 2}).json()
    assert [one["name"] for one in first["data"]] == ["a", "b"]
    assert first["next"] == "b"
    last = http.get("/v1/adapters", params={"limit": 2, "after": "d"}).json()
    assert ([one["name"] for one in last["data"]], last["next"]) == (["e"], None)
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after": "A"}, {"after": "\0"}):
        error(http.get("/v1/adapters", params=wrong), 400, "invalid_request")


def test_an_engine_that_refuses_leaves_the_alias_where_it_was(
    http: TestClient, server: TinyServer, adapter: Path, tmp_path: Path, base: Base
) -> None:
    push(http, adapter, ["default"])
    server.engine.refuses = True
    refused = push(http, tiny.make_adapter(tmp_path / "second", base, seed=1), ["default"])
    message = error(refused, 422, "adapter_failed")
    assert "the engine is full of sand" in message
    assert "Version 2 of 'support' is stored, but no alias was moved to it." in message
    assert server.registry.resolve("support").number == 1
    assert http.get("/v1/adapters/support").json()["versions"][1]["state"] == "failed"


def test_a_bad_adapter_leaves_nothing(
    http: TestClient, server: TinyServer, adapter: Path, tmp_path: Path, base: Base
) -> None:
    tiny.change_config(adapter, use_dora=True)
    tiny.sign(adapter, base)
    identity = upload(http, adapter, ["default"])
    assert "use_dora" in error(http.post(f"/v1/uploads/{identity}/commit"), 400, "invalid_request")
    assert server.registry.adapters() == []
    assert list((tmp_path / "registry" / "staging").iterdir()) == []
    error(http.post(f"/v1/uploads/{identity}/commit"), 404, "upload_not_found")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 5000])
def test_a_file_of_another_size_or_digest_is_refused_and_can_be_sent_again(
    http: TestClient, adapter: Path, content: bytes
) -> None:
    identity = http.post("/v1/adapters/support/uploads", json=announce(adapter, [])).json()["upload"]
    path = f"/v1/uploads/{identity}/adapter_config.json"
    error(http.put(path, content=content), 400, "invalid_request")
    size = (adapter / "adapter_config.json").stat().st_size
    assert "announced" in error(http.put(path, content=b" " * size), 400, "invalid_request")
    refused = http.post(f"/v1/uploads/{identity}/commit")
    assert "did not come yet" in error(refused, 409, "upload_incomplete")
    assert http.put(path, content=(adapter / "adapter_config.json").read_bytes()).status_code == 204


def test_a_file_that_is_too_long_is_refused_before_its_end(
    server: TinyServer, adapter: Path, http: TestClient
) -> None:
    identity = http.post("/v1/adapters/support/uploads", json=announce(adapter, [])).json()["upload"]
    incoming = server.registry.staging.receive(identity, "adapter_config.json")
    with incoming, pytest.raises(Exception, match="longer than the"):
        incoming.write(b"x" * 5000)


@pytest.mark.parametrize("file", ["tokenizer.json", "upload.json", "..%2fupload.json", "adapter_model.bin"])
def test_a_file_that_was_not_announced_is_refused(http: TestClient, adapter: Path, file: str) -> None:
    identity = http.post("/v1/adapters/support/uploads", json=announce(adapter, [])).json()["upload"]
    assert http.put(f"/v1/uploads/{identity}/{file}", content=b"x").status_code in (400, 404)


@pytest.mark.parametrize("identity", ["0" * 32, "..", "%2e%2e", "staging", "A" * 32])
def test_an_unknown_upload_is_not_found(http: TestClient, identity: str) -> None:
    assert http.put(f"/v1/uploads/{identity}/manifest.json", content=b"x").status_code == 404
    assert http.post(f"/v1/uploads/{identity}/commit").status_code == 404


ENTRY = {"sha256": "sha256:" + "0" * 64, "size": 1}
FILES = dict.fromkeys(ADAPTER_FILES, ENTRY)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("Support", {"files": FILES}, "invalid_request"),
        ("a" * 64, {"files": FILES}, "invalid_request"),
        ("tiny-awq", {"files": FILES}, "name_taken"),
        ("support", {"files": {}}, "invalid_request"),
        ("support", {"files": FILES | {"tokenizer.json": ENTRY}}, "invalid_request"),
        (
            "support",
            {"files": FILES | {"manifest.json": {"sha256": "../../x", "size": 1}}},
            "invalid_request",
        ),
        ("support", {"files": FILES | {"manifest.json": ENTRY | {"size": 2**30}}}, "invalid_request"),
        ("support", {"files": FILES | {"manifest.json": ENTRY | {"size": -1}}}, "invalid_request"),
        ("support", {"files": FILES, "aliases": ["../x"]}, "invalid_request"),
        ("support", {"files": FILES, "aliases": ["a"] * 17}, "invalid_request"),
        ("support", {"files": FILES, "further": 1}, "invalid_request"),
        ("support", [], "invalid_request"),
    ],
)
def test_a_bad_announcement_is_refused(
    http: TestClient, tmp_path: Path, name: str, body: Any, code: str
) -> None:
    error(http.post(f"/v1/adapters/{name}/uploads", json=body), 400, code)
    assert list((tmp_path / "registry" / "staging").iterdir()) == []


def test_an_alias_moves_by_compare_and_swap(
    http: TestClient, adapter: Path, tmp_path: Path, base: Base
) -> None:
    push(http, adapter, ["default"])
    push(http, tiny.make_adapter(tmp_path / "second", base, seed=1), [])
    path = "/v1/adapters/support/aliases/default"
    assert http.get(path).json()["version"] == 1
    assert http.get("/v1/adapters/support/aliases/none").json()["version"] is None
    error(http.get("/v1/adapters/other/aliases/default"), 404, "model_not_found")
    moved = http.put(path, json={"version": 2, "expected": 1})
    alone = {"canary": None, "weight": None}
    assert moved.json() == {"name": "support", "alias": "default", "version": 2, "previous": None} | alone
    assert "points to version 2" in error(
        http.put(path, json={"version": 1, "expected": 1}), 409, "alias_moved"
    )
    error(http.put(path, json={"version": 1, "expected": None}), 409, "alias_moved")
    assert http.put(path, json={"version": 1}).status_code == 200
    error(http.put(path, json={"version": 9}), 404, "model_not_found")
    error(http.put("/v1/adapters/other/aliases/default", json={"version": 1}), 404, "model_not_found")
    error(http.put("/v1/adapters/support/aliases/UP", json={"version": 1}), 400, "invalid_request")
    error(http.put(path, json={"version": "two"}), 400, "invalid_request")
    assert http.get("/v1/adapters/support").json()["aliases"] == {"default": 1}


def test_an_alias_does_not_move_to_a_version_that_the_engine_refuses(
    http: TestClient, server: TinyServer, adapter: Path, tmp_path: Path, base: Base
) -> None:
    push(http, adapter, ["default"])
    server.engine.refuses = True
    push(http, tiny.make_adapter(tmp_path / "second", base, seed=1), [])
    refused = http.put("/v1/adapters/support/aliases/default", json={"version": 2})
    assert refused.status_code == 503
    assert server.registry.resolve("support").number == 1


def test_an_upload_is_committed_by_one_at_a_time(
    http: TestClient, server: TinyServer, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = upload(http, adapter, ["default"])
    inside, go_on = threading.Event(), threading.Event()
    add = server.registry.add

    def slow(*arguments: Any) -> Any:
        inside.set()
        assert go_on.wait(30)
        return add(*arguments)

    monkeypatch.setattr(server.registry, "add", slow)
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(http.post(f"/v1/uploads/{identity}/commit")))
    first.start()
    assert inside.wait(30)
    error(http.post(f"/v1/uploads/{identity}/commit"), 409, "upload_busy")
    go_on.set()
    first.join(30)
    assert answers[0].status_code == 200


def test_the_loop_goes_on_while_an_adapter_is_checked(
    server: TinyServer, adapter: Path, http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = upload(http, adapter, [])
    threads: list[bool] = []
    check = tiny.validate.check

    def spy(*arguments: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        return check(*arguments)

    monkeypatch.setattr(tiny.validate, "check", spy)
    assert http.post(f"/v1/uploads/{identity}/commit").status_code == 200
    assert threads == [True]


def test_errors_of_the_framework_have_the_same_shape(
    http: TestClient, server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no route" in error(http.get("/v1/nothing"), 404, "not_found")
    error(http.delete("/v1/adapters"), 405, "method_not_allowed")
    monkeypatch.setattr(server.registry, "adapters", lambda: None)
    message = error(http.get("/v1/adapters"), 500, "internal_error")
    assert "NoneType" not in message
