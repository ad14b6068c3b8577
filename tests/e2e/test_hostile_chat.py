"""Hostile and foreign chat requests against the real engine: none is its fault, and nobody else waits."""

import copy
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import Server
from tests.serve.hostile_chat.attack import problems
from tests.serve.test_played_back import NOISE, TALK
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e


def test_every_case_is_answered_soon_and_health_answers_meanwhile(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    body |= {"max_tokens": 8, "temperature": 0}

    def said() -> str:
        answer = httpx.post(
            f"{server.url}/v1/chat/completions", json=body, headers=server.headers, timeout=PATIENCE
        )
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    before = said()
    process = psutil.Process(server.process)

    def computed() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    assert "\n".join(problems(server.url, server.headers, processor=computed)) == ""
    assert said() == before


def asked(server: Server, **fields: Any) -> httpx.Response:
    body = {"messages": TALK, "max_tokens": 1, "temperature": 0, "return_token_ids": True, **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=server.headers, timeout=60)


SHOWN_AS_TURNS = {
    "an empty answer",
    "an answer of nothing",
    "an answer of thoughts alone",
    "an empty list of calls",
}
"""In a template these are turns of their own; in Mistral's format there are none."""


@pytest.mark.parametrize("noise", [name for name in NOISE if name not in SHOWN_AS_TURNS])
def test_what_comes_back_bears_no_trace(server: Server, noise: str) -> None:
    talk = copy.deepcopy(TALK)
    NOISE[noise](talk)
    found = asked(server, messages=talk)
    assert found.status_code == 200, found.text
    assert found.json()["prompt_token_ids"] == asked(server).json()["prompt_token_ids"]


@pytest.mark.parametrize("noise", sorted(SHOWN_AS_TURNS))
def test_an_answer_of_nothing_ends_no_conversation(server: Server, noise: str) -> None:
    talk = copy.deepcopy(TALK)
    NOISE[noise](talk)
    assert asked(server, messages=talk).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_goes_on_where_its_prefix_ends(server: Server, stream: bool) -> None:
    question = {"role": "user", "content": "What is the capital of France?"}
    begun = {"role": "assistant", "content": "The capital of France is", "prefix": True}
    found = asked(server, messages=[question, begun], max_tokens=4, stream=stream)
    assert found.status_code == 200, found.text
    assert "Paris" in found.text
    if not stream:
        assert not found.json()["choices"][0]["message"]["content"].startswith("The capital")
        again = asked(server, messages=[question, {**begun, "prefix": False}], max_tokens=4)
        assert again.json()["prompt_token_ids"] != found.json()["prompt_token_ids"]


def tool(name: str, schema: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema}}


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_bounds_of_draft_4_are_kept_to(server: Server, choice: str) -> None:
    ttl = {"type": "integer", "exclusiveMinimum": True, "minimum": 0, "maximum": 86_400}
    old = {"type": "object", "properties": {"ttl": ttl}, "required": ["ttl"]}
    tools = [tool("hello", {"type": "object", "properties": {}}), tool("set", old)]
    found = asked(server, tools=tools, tool_choice=choice, max_tokens=40)
    assert found.status_code == 200, found.text


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": r"\bword\b"}}},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}}},
    ],
)
def test_a_schema_that_the_engine_refuses_is_named(server: Server, schema: Any, choice: str) -> None:
    found = asked(server, tools=[tool("hello", {"type": "object"}), tool("set", schema)], tool_choice=choice)
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (400, "invalid_tool_schema"), error
    assert error["param"] == "tools[1].function.parameters"
    assert "'set'" in error["message"]


def test_an_answers_schema_that_is_not_enforced_is_named(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    error = asked(server, response_format=form).json()["error"]
    assert (error["code"], error["param"]) == (
        "invalid_response_schema",
        "response_format.json_schema.schema",
    )
    assert "uniqueItems at properties.a" in error["message"]


def test_every_field_of_openais_may_be_null(server: Server) -> None:
    names = ("audio", "functions", "modalities", "verbosity", "web_search_options", "tools", "stop", "n")
    found = asked(server, **dict.fromkeys(names), stream_options=None, add_generation_prompt=None)
    assert found.status_code == 200, found.text
