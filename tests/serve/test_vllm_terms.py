"""Requests in vLLM's terms: what OpenAI's schema allows and vLLM 0.32 refuses, meaning the same."""

import json
from typing import Any

import pytest

from data.chat import Conversation
from data.ids import mistral_ids
from serve.engine.vllm_terms import MAX_DEPTH, SMALLEST_TOP_P, in_vllms_terms

LENGTH = 2048
HELLO = {"role": "user", "content": "Hello"}


def terms(mistral: bool = False, **fields: Any) -> dict[str, Any]:
    return in_vllms_terms({"messages": [HELLO]} | fields, LENGTH, mistral)


def call(identity: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "look", "arguments": arguments}}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"max_tokens": 10**12}, {"max_tokens": LENGTH}),
        ({"max_completion_tokens": 5.0}, {"max_completion_tokens": 5}),
        ({"top_p": 0}, {"top_p": SMALLEST_TOP_P}),
        ({"top_p": 0.5, "seed": None}, {"top_p": 0.5}),
        ({"n": 2, "temperature": 0}, {"n": 2, "temperature": 1.0, "top_k": 1}),
        ({"n": 1, "temperature": 0}, {"n": 1, "temperature": 0}),
        ({"n": 2}, {"n": 2}),
        ({"tools": [], "tool_choice": "auto"}, {}),
        ({"tools": None, "tool_choice": "auto"}, {}),
        ({"tool_choice": "auto"}, {}),
        ({"tool_choice": "none"}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tools": [], "tool_choice": "required"}, {"tool_choice": "required"}),
    ],
)
def test_values(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert terms(**given) == {"messages": [HELLO]} | meant


def test_a_messages_unknown_members_and_nulls_are_left_out() -> None:
    given = {"role": "assistant", "content": None, "tool_calls": [], "audio": None, "cache": {"a": 1}}
    assert terms(messages=[HELLO, given])["messages"] == [HELLO, {"role": "assistant", "content": ""}]


BEGUN = {"role": "assistant", "content": "It will"}
GOES_ON = {"add_generation_prompt": False, "continue_final_message": True}


@pytest.mark.parametrize(
    ("last", "kept", "flags"),
    [
        (BEGUN | {"prefix": True}, [BEGUN], GOES_ON),
        (BEGUN | {"prefix": False}, [BEGUN], {}),
        (BEGUN, [BEGUN], {}),
        ({"role": "assistant", "content": "", "prefix": True}, [], {}),
        ({"role": "assistant", "prefix": True}, [], {}),
        (HELLO | {"prefix": True}, [HELLO], {}),
    ],
)
def test_a_template_goes_on_where_a_prefix_ends(
    last: dict[str, Any], kept: list[dict[str, Any]], flags: dict[str, Any]
) -> None:
    assert terms(messages=[HELLO, last]) == {"messages": [HELLO, *kept], **flags}


def test_a_prefix_in_the_middle_says_nothing() -> None:
    assert terms(messages=[BEGUN | {"prefix": True}, HELLO]) == {"messages": [BEGUN, HELLO]}


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ({}, GOES_ON),
        ({"add_generation_prompt": True}, GOES_ON),
        (GOES_ON, GOES_ON),
        ({"add_generation_prompt": False}, {"add_generation_prompt": False}),
    ],
)
def test_nothing_else_can_follow_an_answer_in_mistrals_format(
    flags: dict[str, Any], meant: dict[str, Any]
) -> None:
    assert terms(mistral=True, messages=[HELLO, BEGUN], **flags) == {"messages": [HELLO, BEGUN], **meant}


def test_a_conversation_of_nothing_is_left_to_the_engine() -> None:
    assert terms(mistral=True, messages=[{"role": "assistant"}])["messages"]


def test_names_and_thoughts_are_no_part_of_a_message() -> None:
    thoughts = {"reasoning": "t", "reasoning_content": "t"}
    items = [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}, {"type": "reasoning"}]
    messages = [HELLO | {"name": "Ana"}, {"role": "assistant", "content": items, "name": "bot", **thoughts}]
    text = [{"type": "text", "text": "a"}]
    assert terms(messages=messages)["messages"] == [HELLO, {"role": "assistant", "content": text}]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"a": [1]}', '{"a": [1]}'),
        ("no JSON", "no JSON"),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
        (json.dumps({"a": "[" * 1000}), json.dumps({"a": "[" * 1000})),
        ("[" * 500 + "]" * 500, ""),
        ("[" * 100_000 + "]" * 100_000, ""),
        ("[" * 100_000, ""),
    ],
    ids=["an object", "no JSON", "deep", "only text", "too deep", "far too deep", "and cut off"],
)
def test_arguments_that_nothing_could_parse_are_left_out(arguments: str, shown: str) -> None:
    asked = {"role": "assistant", "tool_calls": [call("1", arguments)]}
    (message,) = terms(messages=[asked])["messages"]
    assert message["tool_calls"][0]["function"]["arguments"] == shown


def test_mistrals_ids_are_those_that_the_trainer_makes() -> None:
    ids = ["call_Ab3Ab3Ab3", "x", "chatcmpl-tool-Ab3Ab3Ab3", "Ab3Ab3Ab3", ""]
    messages: list[dict[str, Any]] = [HELLO]
    for identity in ids:
        messages.append({"role": "assistant", "tool_calls": [call(identity), call("other" + identity)]})
        messages.append({"role": "tool", "tool_call_id": identity, "content": "found"})
        messages.append({"role": "tool", "tool_call_id": "other" + identity, "content": "found"})
    trained, _ = mistral_ids(Conversation.model_validate({"messages": messages}))
    served = terms(mistral=True, messages=messages)["messages"]
    for one, other in zip(trained.messages, served, strict=True):
        assert [made.id for made in getattr(one, "tool_calls", [])] == [
            made["id"] for made in other.get("tool_calls", [])
        ]
        assert getattr(one, "tool_call_id", None) == other.get("tool_call_id")
