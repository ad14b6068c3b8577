"""Without adapters the answers are those of vLLM's own server with the same flags, field by field."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bench.serve.servers import plain_vllm
from serve.settings import Settings
from tests.conftest import MAX_LEN, MAX_LORAS, Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LOGPROB = 0.1
"""Nats. A prompt that is in the prefix cache is computed in other pieces than one that is not."""

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Lisbon?"}]
CITY = {"type": "string", "enum": ["Lisbon", "Paris"]}
SHAPE = {"type": "object", "properties": {"city": CITY}, "required": ["city"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "x", "parameters": SHAPE}}]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
TALK = [*WEATHER, {"role": "assistant", "tool_calls": [CALL]}]
TALK += [{"role": "tool", "tool_call_id": "call_1", "content": "Sunny."}]

REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"messages": QUESTION},
    "items": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Name three colours."}]}]},
    "system": {"messages": [{"role": "system", "content": "Answer in one word."}, *QUESTION]},
    "stop": {"messages": QUESTION, "stop": ["Paris", "."]},
    "max_completion_tokens": {"messages": QUESTION, "max_tokens": 3, "max_completion_tokens": 5},
    "logprobs": {"messages": QUESTION, "logprobs": True, "top_logprobs": 3, "max_tokens": 4},
    "prompt_logprobs": {
        "messages": QUESTION,
        "prompt_logprobs": 1,
        "max_tokens": 2,
        "return_token_ids": True,
    },
    "choices": {"messages": QUESTION, "n": 2, "temperature": 1, "seed": 7},
    "penalties": {"messages": QUESTION, "presence_penalty": 1.5, "frequency_penalty": 0.5},
    "logit_bias": {"messages": QUESTION, "logit_bias": {"504": -100}},
    "auto": {"messages": WEATHER, "tools": TOOLS},
    "required": {"messages": WEATHER, "tools": TOOLS, "tool_choice": "required", "max_tokens": 60},
    "named": {
        "messages": WEATHER,
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "max_tokens": 60,
    },
    "after a call": {"messages": TALK, "tools": TOOLS},
    "json_schema": {
        "messages": WEATHER,
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SHAPE}},
    },
    "json_object": {"messages": WEATHER, "response_format": {"type": "json_object"}},
}


@pytest.fixture(scope="module")
def plain(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The other server's URL."""
    log = tmp_path_factory.mktemp("plain") / "log"
    with plain_vllm(server.folder, log, MAX_LORAS, Settings.max_lora_rank, MAX_LEN) as url:
        yield url


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_answer(server: Server, plain: str, name: str, stream: bool) -> None:
    body = {"model": server.base.name, "max_tokens": 12, "temperature": 0, **REQUESTS[name]}
    if stream:
        if "prompt_logprobs" in body:
            pytest.skip("there are none in streams")
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    ours, theirs = (_answers(url, body, server.headers) for url in (server.url, plain))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.pop("adapter") is None
        _assert_same(_without_additions(one), other, name)


def _answers(url: str, body: dict[str, Any], headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    if not body.get("stream"):
        return [answer.json()]
    *events, done = answer.text.strip().split("\n\n")
    assert done == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    # Each choice has an order, and several choices among each other none; what all share comes last.
    return sorted(
        chunks, key=lambda chunk: [choice["index"] for choice in chunk["choices"]] or [body.get("n", 1)]
    )


def _without_additions(answer: dict[str, Any]) -> dict[str, Any]:
    for choice in answer["choices"]:
        if message := choice.get("message"):
            assert message.pop("reasoning_content") is None
            if not message["tool_calls"]:
                del message["tool_calls"]
    return answer


def _assert_same(one: Any, other: Any, where: str) -> None:
    """Equal, but for ids, times, what was cached, and rounding."""
    key = where.rpartition(".")[2]
    if key in ("id", "created", "cached_tokens"):
        assert type(one) is type(other), where
        if isinstance(one, str):
            assert len(one) == len(other) and one[:9] == other[:9], where
    elif isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            _assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for number, (mine, its) in enumerate(zip(one, other, strict=True)):
            _assert_same(mine, its, f"{where}.{number}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=LOGPROB), where
    else:
        assert one == other, where
