"""The client against the real app behind a real uvicorn, on a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stamina
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from data.errors import UserError
from data.manifest import ADAPTER_FILES
from serve.client import chat, connection, registry
from serve.client.push import push
from serve.hosting import config
from tests.serve import tiny
from tests.serve.tiny import Base, TinyServer


@pytest.fixture
def server(tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch) -> TinyServer:
    made = tiny.make_server(tmp_path / "registry", base)
    monkeypatch.setenv("ENXERTO_API_KEY", made.key)
    return made


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    return tiny.make_adapter(tmp_path / "adapter", base)


@pytest.fixture
def url(server: TinyServer) -> Iterator[str]:
    with listening(server.app) as url:
        yield url


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        runner = uvicorn.Server(config(app, log_level="error"))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not runner.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            runner.should_exit = True
            thread.join(timeout=10)


class Flaky:
    """Fails the first requests of one method, by a status or, where that is None, by half an answer."""

    def __init__(self, app: ASGIApp, method: str, status: int | None, failures: int) -> None:
        self.app = app
        self.method = method
        self.status = status
        self.failures = failures
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append(f"{scope['method']} {scope['path'].rsplit('/', 1)[-1]}")
        if scope["type"] != "http" or scope["method"] != self.method or not self.failures:
            await self.app(scope, receive, send)
            return
        self.failures -= 1
        headers = [(b"content-length", b"100" if self.status is None else b"4")]
        await send({"type": "http.response.start", "status": self.status or 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": self.status is None})


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries as many as ever, without the pauses between them."""
    stamina.set_testing(True, attempts=connection.ATTEMPTS)
    yield
    stamina.set_testing(False)


def test_a_push_is_ready_and_lists_as_such(server: TinyServer, adapter: Path, url: str) -> None:
    pushed = push(adapter, "support", ["default"], url)
    assert (pushed["name"], pushed["version"], pushed["state"]) == ("support", 1, "ready")
    folder = server.registry.resolve("support").folder
    assert all((folder / name).read_bytes() == (adapter / name).read_bytes() for name in ADAPTER_FILES[1:])
    assert registry.adapters(url)[0]["aliases"] == {"default": 1}
    assert push(adapter, "support", ["default"], url) == pushed


def test_all_adapters_are_listed_whatever_the_pages(
    adapter: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        push(adapter, name, [], url)
    for page in (1, 2, 5, 1000):
        monkeypatch.setattr(registry, "PAGE", page)
        assert [one["name"] for one in registry.adapters(url)] == list("abcde")


def test_the_weights_arrive_whole_when_they_come_in_many_blocks(
    server: TinyServer, adapter: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.client.push.BLOCK_BYTES", 100)
    monkeypatch.setattr("serve.routes.uploads.BLOCK_BYTES", 300)
    push(adapter, "support", ["default"], url)
    assert server.registry.resolve("support").number == 1


def test_promote_and_rollback(adapter: Path, url: str, tmp_path: Path, base: Base) -> None:
    push(adapter, "support", ["default"], url)
    with pytest.raises(UserError, match="no previous version"):
        registry.rollback("support", "default", url)
    push(tiny.make_adapter(tmp_path / "second", base, seed=1), "support", [], url)
    assert registry.promote("support", 2, "default", url)["version"] == 2
    assert registry.rollback("support", "default", url)["version"] == 1
    assert registry.rollback("support", "default", url)["version"] == 2
    with pytest.raises(UserError, match="no model or adapter is named 'support@9'"):
        registry.promote("support", 9, "default", url)


def test_a_promotion_does_not_overwrite_another_one(
    server: TinyServer, adapter: Path, url: str, tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(adapter, "support", ["default"], url)
    push(tiny.make_adapter(tmp_path / "second", base, seed=1), "support", [], url)
    look = registry.pointed_at

    def look_then_somebody_else_moves(name: str, alias: str, url: str | None = None) -> int | None:
        seen = look(name, alias, url)
        server.registry.set_alias("support", "default", 2)
        return seen

    monkeypatch.setattr(registry, "pointed_at", look_then_somebody_else_moves)
    with pytest.raises(UserError, match="points to version 2, where version 1 was expected"):
        registry.promote("support", 1, "default", url)


@pytest.mark.parametrize("status", [429, 502, 503, 504, None])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_push_survives_a_server_that_is_busy_or_hangs_up(
    server: TinyServer, adapter: Path, method: str, status: int | None
) -> None:
    flaky = Flaky(server.app, method, status, failures=2)
    with listening(flaky) as url:
        assert push(adapter, "support", ["default"], url)["version"] == 1
    # A broken file goes on in the same upload.
    assert flaky.seen.count("POST uploads") == (3 if method == "POST" else 1)


def test_a_server_that_stays_busy_is_given_up(server: TinyServer, adapter: Path) -> None:
    flaky = Flaky(server.app, "POST", 503, failures=99)
    with listening(flaky) as url, pytest.raises(UserError, match="answered 503"):
        push(adapter, "support", ["default"], url)
    assert flaky.seen == ["POST uploads"] * connection.ATTEMPTS


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusal_is_not_repeated(server: TinyServer, adapter: Path, status: int) -> None:
    flaky = Flaky(server.app, "POST", status, failures=1)
    with listening(flaky) as url, pytest.raises(UserError, match=f"answered {status}; is that an Enxerto"):
        push(adapter, "support", [], url)
    assert flaky.seen == ["POST uploads"]


def test_no_server_is_one_sentence(adapter: Path) -> None:
    with pytest.raises(UserError, match=r"no answer from http://127\.0\.0\.1:9 .*`serve up`"):
        push(adapter, "support", [], "http://127.0.0.1:9")


def test_the_server_is_chosen_by_option_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENXERTO_URL", raising=False)
    assert connection.server_url() == "http://127.0.0.1:8321"
    monkeypatch.setenv("ENXERTO_URL", "http://there:1/")
    assert connection.server_url() == "http://there:1"
    assert connection.server_url("http://here:2") == "http://here:2"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda folder: (folder / "adapter_config.json").unlink(),
            "is no adapter: it has weights and no adapter_config.json",
        ),
        (
            lambda folder: [path.unlink() for path in folder.iterdir()],
            "is no adapter: it has nothing; give the folder",
        ),
        (lambda folder: folder.rename(folder.with_name("gone")), "does not exist"),
    ],
)
def test_a_folder_that_is_no_adapter_is_refused_before_any_request(
    adapter: Path, spoil: Callable[[Path], object], why: str
) -> None:
    spoil(adapter)
    with pytest.raises(UserError, match=why):
        push(adapter, "support", [], "http://127.0.0.1:9")


def test_names_cannot_reach_other_routes(adapter: Path, url: str) -> None:
    for name in ("../models", "a/b", "a?b", ""):
        with pytest.raises(UserError, match="adapter name"):
            registry.adapter(name, url)
        with pytest.raises(UserError, match="adapter name"):
            push(adapter, name, [], url)


def test_an_answer_is_printed_as_it_comes(
    adapter: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    push(adapter, "support", ["default"], url)
    capsys.readouterr()
    assert chat.chat([{"role": "user", "content": "hello"}], "support", url) == "support@1 heard hello"
    assert capsys.readouterr().out == "support@1 heard hello\n"
    chat.chat([{"role": "user", "content": "call"}], registry.model_named("base", url), url)
    assert capsys.readouterr().out == '{"name": "lookup", "arguments": "{\\"id\\": 7}"}\n'
    with pytest.raises(
        UserError, match="no model or adapter is named 'suport'; the nearest names are support"
    ):
        chat.chat([{"role": "user", "content": "hello"}], "suport", url)
