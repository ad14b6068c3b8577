"""Requests that the hosted endpoint's schema accepts, and answers as its examples, on the real engine."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.settings import BASE_ALIASES
from tests.conftest import Server
from tests.serve.hosted.strategies import VALIDATOR, requests

pytestmark = pytest.mark.e2e

QUESTION = [{"role": "user", "content": "What is the weather in London?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather for a location",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "maxLength": 20}},
            "required": ["location"],
            "additionalProperties": False,
        },
    },
}


def ask(server: Server, **fields: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/chat/completions", json=fields, headers=server.headers, timeout=120)


@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_what_the_schema_accepts_is_accepted(server: Server, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(body=requests(st.integers(1, 2), most_choices=3))
    def accepted(body: dict[str, Any]) -> None:
        VALIDATOR.validate(body)
        answer = ask(server, **body)
        assert answer.status_code == 200, answer.text
        assert '"error"' not in answer.text[:20]

    accepted()


def test_an_answer_has_every_field_of_the_example(server: Server) -> None:
    answer = ask(server, model=BASE_ALIASES[0], messages=QUESTION, max_tokens=3).json()
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert isinstance(answer["created"], int)
    assert answer["model"] == BASE_ALIASES[0]
    assert answer["prompt_logprobs"] is None
    (choice,) = answer["choices"]
    assert choice["index"] == 0
    assert choice["logprobs"] is None
    assert choice["finish_reason"] == "length"
    assert choice["stop_reason"] is None
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["reasoning_content"] is None
    assert isinstance(choice["message"]["content"], str)
    assert choice["message"]["tool_calls"] == []
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] == 3
    assert "prompt_tokens_details" in usage


def test_a_call_has_every_field_of_the_example(server: Server) -> None:
    # Greedy: a call that is drawn may be longer than any bound, and is none then.
    asked = {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 200, "temperature": 0}
    answer = ask(server, messages=QUESTION, **asked).json()
    (choice,) = answer["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["id"].startswith("chatcmpl-tool-")
    assert call["type"] == "function"
    assert call["function"]["name"] == "get_weather"
    assert '"location"' in call["function"]["arguments"]
    assert choice["finish_reason"] == "tool_calls"


def test_an_answers_tokens_are_at_most_what_the_context_has_left(server: Server) -> None:
    answer = ask(server, messages=QUESTION, max_tokens=10**9, stop=[" "], temperature=0)
    assert answer.status_code == 200, answer.text
    long = ask(server, messages=[{"role": "user", "content": "one two " * 1024}])
    error = long.json()["error"]
    assert (long.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert "2048" in error["message"], error
    assert "tokens" in error["message"], error
