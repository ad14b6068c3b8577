"""Finding 8: the log probabilities of a long prompt held up everybody. They are bounded, and not for all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from serve.registry.keys import Scope
from serve.routes.chat_request import places
from serve.routes.fields import MAX_PROMPT_LOGPROBS
from tests.serve import tiny
from tests.serve.test_adapter_routes import error as _error
from tests.serve.tiny import TinyServer


def error(response: Any, status: int, code: str, param: str) -> str:
    assert response.json()["error"]["param"] == param
    return _error(response, status, code)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TinyServer]:
    made = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))
    yield made
    made.registry.close()


def chat(server: TinyServer, scope: Scope, said: Any = "Hello.", **more: Any) -> httpx.Response:
    secret = server.registry.storage.keys.create(
        f"{scope}-{len(server.registry.storage.keys.all())}", [scope]
    )
    body = {"messages": [{"role": "user", "content": said}], **more}
    headers = {"authorization": f"Bearer {secret}"}
    answer: httpx.Response = TestClient(server.app).post("/v1/chat/completions", json=body, headers=headers)
    return answer


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"n": 2}, {"model": "absent"}])
@pytest.mark.parametrize("each", [0, 20])
def test_a_chat_key_gets_none(server: TinyServer, each: int, more: dict[str, Any]) -> None:
    refused = chat(server, "chat", prompt_logprobs=each, **more)
    assert "has the scopes chat, and prompt_logprobs needs push" in error(
        refused, 403, "insufficient_scope", "prompt_logprobs"
    )


def test_a_key_that_asks_for_none_is_answered(server: TinyServer) -> None:
    assert chat(server, "chat", prompt_logprobs=None).is_success


@pytest.mark.parametrize("scope", ["push", "admin"])
def test_who_evaluates_gets_them(server: TinyServer, scope: Scope) -> None:
    for each in (0, 1, 20):
        assert chat(server, scope, prompt_logprobs=each).is_success


@pytest.mark.parametrize(
    ("said", "each"),
    [
        ("word " * 7_800, 20),
        ("a" * MAX_PROMPT_LOGPROBS, 0),
        ([{"type": "text", "text": "word "}] * 2_000, 5),
    ],
)
def test_so_many_are_too_many(server: TinyServer, said: Any, each: int) -> None:
    refused = chat(server, "admin", said, prompt_logprobs=each)
    assert f"prompt_logprobs is {each}, which for a request of" in error(
        refused, 400, "invalid_request", "prompt_logprobs"
    )


def test_a_short_context_holds_no_more_than_it_does(tmp_path: Path) -> None:
    base = tiny.make_base(tmp_path / "base")
    made = tiny.make_server(tmp_path / "registry", base, max_model_len=2048)
    assert chat(made, "admin", "word " * 7_800, prompt_logprobs=20).is_success, (
        "the engine says what is wrong"
    )
    made.registry.close()


def test_they_count_for_more_of_the_engine() -> None:
    assert places({"prompt_logprobs": 0}, 2**15) == 4 * places({}, 2**15) == 32
