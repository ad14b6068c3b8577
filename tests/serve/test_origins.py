"""Web pages of other origins: none may call, unless the server was started with theirs."""

from pathlib import Path

from fastapi.testclient import TestClient

from tests.serve import tiny

PAGE = "https://chat.example"
ASKS = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}
CHAT = "/v1/chat/completions"


def http(folder: Path, *origins: str) -> TestClient:
    base = tiny.make_base(folder / "base")
    server = tiny.make_server(folder / "registry", base, cors_origins=origins)
    return TestClient(server.app, headers=server.headers)


def test_no_page_may_call_by_default(tmp_path: Path) -> None:
    client = http(tmp_path)
    asked = client.options(CHAT, headers=ASKS)
    assert asked.status_code == 405
    answer = client.get("/v1/models", headers={"origin": PAGE})
    for given in (asked, answer):
        assert not [name for name in given.headers if name.startswith("access-control")]


def test_a_page_of_a_given_origin_may(tmp_path: Path) -> None:
    client = http(tmp_path, PAGE)
    asked = client.options(CHAT, headers=ASKS)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in asked.headers
    answer = client.get("/v1/models", headers={"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-adapter-version" in answer.headers["access-control-expose-headers"]
    # What is refused before any route is readable for the page, too.
    large = client.post(CHAT, content=b" " * 5 * 2**20, headers={"origin": PAGE})
    assert (large.status_code, large.headers["access-control-allow-origin"]) == (413, PAGE)


def test_a_page_of_another_origin_may_not(tmp_path: Path) -> None:
    client = http(tmp_path, PAGE)
    asked = client.options(CHAT, headers=ASKS | {"origin": "https://evil.example"})
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
