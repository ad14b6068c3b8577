"""What strangers wrote, on a terminal: text, and nothing that steers it; and the key that is sent to none."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from data.errors import pathless, plain
from data.home import api_key, key_file, key_of_port
from data.report import Evidence
from serve.errors import ApiError
from serve.own_key import known_by_port
from serve.registry.records import Version
from tests.adversarial.pushed import World, world
from tests.serve.test_adapter_routes import error
from tests.serve.test_cli import serve
from tests.serve.test_client import listening
from tests.waiting import PATIENCE, eventually

STEERING = ["\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\u202egnp.exe", "\x08\x08", "a\rb", "\u2028", "\x7f"]
MARKUP = ["see [link=http://evil]this[/link]", "[/notes]", "[bold red]x", "[[", "\\[x"]


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_nothing_that_steers_a_terminal_stays(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(f"a{text}b") == f"a{plain(text)}b"


@pytest.mark.parametrize("text", ["Grüße, 🦊", "می‌خواهم", "👩‍👩‍👧", "क्‍ष", *MARKUP])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path) as made:
        monkeypatch.setenv("ENXERTO_API_KEY", made.server.key)
        made.push("mine", 1)
        yield made


def test_show_prints_what_is_in_the_registry_as_text(there: World) -> None:
    """Also what came in before it was looked at on its way in."""
    storage = there.server.registry.storage
    said = "".join(STEERING[:4]) + "".join(MARKUP)
    evidence = there.evidence("mine", 0, 1)
    evidence["differences"] = [one | {"task": said, "against": said} for one in evidence["differences"]]
    storage.reports.keep("mine", 1, Evidence.model_validate(evidence | {"suite": said}))
    storage.aliases.move("mine", ["default"], 1)
    from serve.registry.tables import MoveRow

    with storage.database.write() as session:
        row = session.query(MoveRow).one()
        again = {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
        session.add(MoveRow(**again | {"sequence": 7, "override": said}))
    with listening(there.server.app) as url:
        code, out, err = serve("show", "mine", url=url)
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.count("[/notes]") >= 2
    assert r"\x1b]0;owned" in out


@pytest.mark.parametrize("command", [("ls",), ("keys", "ls"), ("show", "mine"), ("promote", "mine@1")])
def test_what_a_server_says_is_text(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", "enx_x")
    said, server = "no".join([*STEERING, *MARKUP]), FastAPI()

    @server.api_route("/{path:path}", methods=["GET", "PUT"])
    def refuse(path: str) -> Any:
        return JSONResponse({"error": {"message": said}}, 400)

    with listening(server) as url:
        code, out, err = serve(*command, url=url)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err[:-1].isprintable()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "NotADirectoryError: [Errno 20] Not a directory: '/home/me/registry/versions/.cf03'",
            "NotADirectoryError: [Errno 20] Not a directory: '(a path of the server)'",
        ),
        ("no such file: /var/lib/x/y.json, sorry", "no such file: (a path of the server), sorry"),
        ("see http://127.0.0.1:1/v1/models or `a/b`", "see http://127.0.0.1:1/v1/models or `a/b`"),
    ],
)
def test_a_stranger_is_told_no_path(text: str, told: str) -> None:
    assert pathless(text) == told


@pytest.mark.parametrize("when", ["at the push", "at a chat"])
def test_nor_why_a_version_failed(there: World, when: str) -> None:
    """The folder that versions lie in is a file."""
    versions = there.folder / "registry" / "versions"
    there.push("other", 2)
    lifecycle = there.server.app.state.lifecycle
    found = there.server.registry.find("other@1")
    there.http.portal.call(lifecycle.unload, found)  # type: ignore[union-attr]
    versions.rename(versions.with_name("moved"))
    versions.write_text("a file")
    if when == "at the push":
        answer = there.http.put("/v1/adapters/other/aliases/default", json={"version": 1})
    else:
        body = {"model": "other@1", "messages": [{"role": "user", "content": "hi"}]}
        answer = there.http.post("/v1/chat/completions", json=body)
    assert answer.status_code in (422, 503), answer.text
    assert str(there.folder) not in answer.text
    assert "registry/" not in answer.text


def test_nor_what_an_engine_says_of_places(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(version: Version) -> None:
        raise ApiError("No such file: /srv/registry/versions/x.json.")

    found = there.server.registry.find("mine@1")
    there.http.portal.call(there.server.app.state.lifecycle.unload, found)  # type: ignore[union-attr]
    monkeypatch.setattr(there.server.engine, "add", refuse)
    body = {"model": "mine@1", "messages": [{"role": "user", "content": "hi"}]}
    for _ in range(2):  # when it fails, and while it is left alone
        told = error(there.http.post("/v1/chat/completions", json=body), 503, "adapter_failed")
        assert "No such file: (a path of the server)" in told


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str | None]]]:
    """The address of somebody else's server on this machine, and the keys that it heard."""
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path))
    monkeypatch.delenv("ENXERTO_API_KEY", raising=False)
    key_file().write_text("enx_mine")
    heard: list[str | None] = []
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "PUT", "POST"])
    def hear(path: str, request: Request) -> dict[str, Any]:
        heard.append(request.headers.get("authorization"))
        return {"data": [], "next": None}

    with listening(app) as url:
        yield url, heard


def test_the_own_key_goes_to_no_other_server(stranger: tuple[str, list[str | None]]) -> None:
    url, heard = stranger
    assert serve("ls", url=url)[0] == 0
    assert heard == [None]


def test_nor_to_who_took_a_port_after_a_crash(stranger: tuple[str, list[str | None]]) -> None:
    """The link of a server that was killed is still there."""
    url, _ = stranger
    port = int(url.rpartition(":")[2])
    script = (
        "import sys, time; from serve.own_key import known_by_port\n"
        f"with known_by_port({port}, None, None): print('up', flush=True); time.sleep({PATIENCE})"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as server:
        assert server.stdout and server.stdout.readline() == b"up\n"
        assert api_key(url) == "enx_mine", "while it runs"
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    assert key_of_port(port).is_symlink()
    assert api_key(url) is None


def test_nor_to_another_machine_or_port(stranger: tuple[str, list[str | None]]) -> None:
    url, _ = stranger
    port = int(url.rpartition(":")[2])
    with known_by_port(port, None, None):
        assert api_key(url) == "enx_mine"
        for other in (f"http://127.0.0.1.evil.example:{port}", f"http://127.0.0.1:{port + 1}"):
            assert api_key(other) is None
    eventually(lambda: api_key(url) is None)
