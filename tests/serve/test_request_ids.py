"""Request ids in every answer and log line, and the one line that the log has for each chat."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.request_ids import REQUEST_LOG
from tests.serve import talking, tiny
from tests.serve.talking import add, chat
from tests.serve.test_client import listening
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    base = tiny.make_base(tmp_path / "base")
    server = tiny.make_server(tmp_path / "registry", base, body_limit=10_000)
    add(server, tmp_path, base, "support", 0)
    server.app.state.engine = talking.TalkingEngine(base.manifest.name)
    return server


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    # The server closes a connection on which it failed, maybe only when the next request is on its way.
    once = httpx.Limits(max_keepalive_connections=0)
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, limits=once, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """The log's lines of chats, as they come."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print(record.getMessage())
            found.append(json.loads(record.getMessage()))

    found: list[dict[str, Any]] = []
    log, handler = logging.getLogger(REQUEST_LOG), Lines()
    log.addHandler(handler)
    with caplog.at_level(logging.INFO, REQUEST_LOG):
        yield found
    log.removeHandler(handler)


def test_every_answer_has_the_id_of_its_request(http: httpx.Client) -> None:
    answers = [
        lambda **more: http.get("/health", **more),
        lambda **more: http.get("/metrics", **more),
        lambda **more: http.get("/nothing", **more),
        lambda **more: http.delete("/health", **more),
        lambda **more: http.get("/v1/models", headers={"authorization": "no", **more.get("headers", {})}),
        lambda **more: http.post("/v1/chat/completions", content=b"{", **more),
        lambda **more: http.post("/v1/chat/completions", content=b" " * 10_001, **more),
        lambda **more: chat_with(http, "words 1", **more),
        lambda **more: chat_with(http, "words 1", stream=True, **more),
        lambda **more: chat_with(http, "refuse", **more),
        lambda **more: chat_with(http, "crash", **more),
    ]
    statuses, made = [], set()
    for ask in answers:
        given = ask(headers={"x-request-id": "mine-1"})
        assert given.headers.get_list("x-request-id") == ["mine-1"]
        (own,) = ask().headers.get_list("x-request-id")
        assert len(own) == 32
        made.add(own)
        statuses.append(given.status_code)
    assert statuses == [200, 200, 404, 405, 401, 400, 413, 200, 200, 400, 500]
    assert len(made) == len(answers)


def chat_with(http: httpx.Client, said: str, stream: bool = False, **more: Any) -> httpx.Response:
    body = {"model": "support", "messages": [{"role": "user", "content": said}], "stream": stream}
    return http.post("/v1/chat/completions", json=body, **more)


@pytest.mark.parametrize("given", [b"", b"a b", b"a\tb", b"x" * 129, "ã".encode(), b'{"a":"b c"}'])
def test_an_id_that_could_spoil_a_log_is_not_taken(http: httpx.Client, given: bytes) -> None:
    answer = http.get("/health", headers=[(b"x-request-id", given)])
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("given", ["a", "x" * 128, '{"id":1}', "chatcmpl-9f/~!"])
def test_a_sane_id_is_taken(http: httpx.Client, given: str) -> None:
    assert http.get("/health", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_one_line(
    http: httpx.Client, server: TinyServer, lines: list[dict[str, Any]], stream: bool
) -> None:
    http.headers["x-request-id"] = "mine-1"
    assert chat(http, "words 7", "support:default", stream=stream).status_code == 200
    eventually(lambda: len(lines) == 1)
    (line,) = lines
    ttft, seconds, stages = line.pop("ttft"), line.pop("seconds"), line.pop("stages")
    assert line == {
        "id": "mine-1",
        "key": server.registry.storage.keys.all()[0].name,
        "asked": "support:default",
        "adapter": "support",
        "version": 1,
        "digest": server.registry.resolve("support").digest,
        "stream": stream,
        "status": 200,
        "code": None,
        "prompt_tokens": talking.PROMPT_TOKENS,
        "completion_tokens": 7,
        "finish": ["stop"],
        "tool_call_failures": [],
    }
    assert 0 < seconds < 60
    assert (0 < ttft < seconds) if stream else ttft is None
    # It was not loaded: this request waited for that.
    assert list(stages) == ["queue", "load", "generate"]
    assert sum(stages.values()) < seconds + 1e-5
    chat(http, "words 7")
    eventually(lambda: len(lines) == 2)
    assert list(lines[1]["stages"]) == ["queue", "generate"]


def test_what_went_wrong_is_in_the_line(http: httpx.Client, lines: list[dict[str, Any]]) -> None:
    long = "\n\x1b[2Jy" * 300
    for said, model in (("refuse", "support"), ("crash", "support"), ("hello", long), ("hello", "support@7")):
        chat(http, said, model)
    eventually(lambda: len(lines) == 4)
    found = [(line["status"], line["code"], line["adapter"]) for line in lines]
    assert found == [
        (400, "context_length_exceeded", "support"),
        (500, "internal_error", "support"),
        (404, "model_not_found", None),
        (404, "model_not_found", None),
    ]
    assert len(lines[2]["asked"]) < 800 and "\x1b" not in lines[2]["asked"]
    assert lines[3]["asked"] == "support@7"


def test_no_secret_and_no_text_is_logged(
    http: httpx.Client, server: TinyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for said in ("words 3", "refuse and more", "crash"):
            chat(http, said)
        http.get("/v1/models", headers={"authorization": "Bearer " + server.key[:-1] + "!"})
    mine = [record.getMessage() for record in caplog.records if record.name.startswith("serve")]
    assert mine
    for text in (server.key[4:-1], "word0", "and more"):
        assert not any(text in line for line in mine)


SERVER = """
import asyncio, pathlib, socket, sys
import uvicorn
from serve.hosting import config
from serve.request_ids import log_to_standard_error
from tests.serve import talking, tiny

folder = pathlib.Path(sys.argv[1])
server = tiny.make_server(folder / "registry", tiny.make_base(folder / "base"))
server.app.state.engine = talking.TalkingEngine("tiny-awq")
log_to_standard_error()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], server.key, flush=True)
runner = uvicorn.Server(config(server.app, log_config=None))
asyncio.run(runner.serve(sockets=[listener]))
"""


def test_the_log_of_a_server_has_the_id_beside_the_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout
            port, key = process.stdout.readline().split()
            headers = {"authorization": f"Bearer {key}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:
                http.headers["x-request-id"] = "before"
                assert chat(http, "words 2", "tiny-awq").status_code == 200
                http.headers["x-request-id"] = "crashed"
                assert chat(http, "crash", "tiny-awq").status_code == 500
            eventually(lambda: "lost its mind" in log.read_text())
        finally:
            process.terminate()
    told = log.read_text()
    assert json.loads(told.splitlines()[0])["id"] == "before"
    (line,) = [line for line in told.splitlines() if "Exception in ASGI application" in line]
    assert "[crashed]" in line
    assert told.index(line) < told.index("Traceback") < told.index("the engine lost its mind")
