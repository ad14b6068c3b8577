"""Rules of one conversation, held against what mistral-common's own validator refuses."""

import json
from typing import Any

import pytest
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV3, ValidationMode

from data.chat import Conversation
from data.rules import SEVERITY, problems
from data.schemas import schema_problem
from serve.routes.tools import check_schemas
from tests.listener import listener

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "hello"}
SYSTEM = {"role": "system", "content": "Be kind."}
SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "deep": {"type": "object", "properties": {"s": {"enum": ["a"]}}},
    },
    "required": ["n"],
    "additionalProperties": False,
}


DRAFT_4 = "http://json-schema.org/draft-04/schema#"


def tool(name: str = "f", parameters: Any = SCHEMA) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def call(identity: str = "abcdefgh1", name: str = "f", arguments: str = '{"n": 1}') -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(made) or [call()], **more}


def result(identity: str = "abcdefgh1") -> dict[str, Any]:
    return {"role": "tool", "content": "42", "tool_call_id": identity}


def found(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    conversation = Conversation.model_validate({"messages": messages, "tools": tools or [tool()]})
    for problem in problems(conversation):
        assert "\n" not in problem.message
        if SEVERITY[problem.kind] != "note":
            assert "; " in problem.message and problem.message.endswith("."), "no next step"
    return [(problem.kind, problem.where) for problem in problems(conversation)]


SOUND = [
    [USER, ANSWER],
    [SYSTEM, USER, USER, ANSWER, USER, ANSWER],
    [SYSTEM, SYSTEM, USER, ANSWER],
    [USER, calls()],
    [USER, calls(), result(), ANSWER],
    [USER, calls(call(), call("abcdefgh2")), result(), result("abcdefgh2"), ANSWER],
    [USER, calls(), result(), calls(call("abcdefgh2")), result("abcdefgh2"), ANSWER],
    [USER, calls(), result(), USER, ANSWER],
    [USER, calls(content="Let me see."), result(), ANSWER],
    [USER, ANSWER, USER],
    [USER, ANSWER | {"weight": 0}, USER, ANSWER],
    [USER, {"role": "assistant", "content": "", "weight": 0}, USER, ANSWER],
]


@pytest.mark.parametrize("messages", SOUND)
def test_sound_conversations(messages: list[dict[str, Any]]) -> None:
    assert found(messages) == []


REFUSED = [
    ([USER, result(), ANSWER], "role_order", "message 2"),
    ([USER, ANSWER, SYSTEM, USER, ANSWER], "role_order", "message 3"),
    ([USER, calls(), result(), SYSTEM, ANSWER], "role_order", "message 4"),
    ([ANSWER, USER, ANSWER], "role_order", "message 1"),
    ([USER, ANSWER, ANSWER], "role_order", "message 3"),
    ([USER, calls(), ANSWER], "unanswered_call", "message 2"),
    ([USER, calls(), USER, ANSWER], "unanswered_call", "message 2"),
    ([USER, calls(call(), call("abcdefgh2")), result(), ANSWER], "unanswered_call", "message 2"),
    ([USER, calls(), result(), result(), ANSWER], "orphan_result", "message 4"),
    ([USER, ANSWER, result(), ANSWER], "orphan_result", "message 3"),
]


@pytest.mark.parametrize(("messages", "kind", "where"), REFUSED)
def test_errors_are_what_mistral_refuses(messages: list[dict[str, Any]], kind: str, where: str) -> None:
    assert (kind, where) in found(messages)
    assert SEVERITY[kind] == "error"
    assert refused_by_mistral(messages)


@pytest.mark.parametrize("messages", [messages for messages in SOUND if messages[-1]["role"] == "assistant"])
def test_mistral_takes_what_is_sound(messages: list[dict[str, Any]]) -> None:
    assert not refused_by_mistral(messages)


def refused_by_mistral(messages: list[dict[str, Any]]) -> bool:
    """Whether any target's prompt or sample is refused, as mistral-common's renderer would ask it."""
    request = ChatCompletionRequest.from_openai(
        [{key: value for key, value in message.items() if key != "weight"} for message in messages]
    ).messages
    ask, learn = (
        MistralRequestValidatorV3(mode) for mode in (ValidationMode.test, ValidationMode.finetuning)
    )
    # Text beside a call is refused by V3 only, and an empty answer too; order is what is looked at here.
    try:
        for position, message in enumerate(messages):
            if message["role"] == "assistant" and message.get("weight", 1):
                ask._validate_message_list_structure(request[:position])
                learn._validate_message_list_structure(request[: position + 1])
    except MistralCommonException:
        return True
    return False


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [USER, calls(), result("other0000"), ANSWER],
            [("orphan_result", "message 3"), ("unanswered_call", "message 2")],
        ),
        ([USER, calls(call(), call())], [("duplicate_call_id", "message 2")]),
        ([USER, calls(), result(), calls(), result(), ANSWER], [("duplicate_call_id", "message 4")]),
        ([USER, calls(call(), call("abcdefgh2")), result()], [("unanswered_call", "message 2")]),
        (
            [USER, calls(call(), call("abcdefgh2")), result("abcdefgh2"), result(), ANSWER],
            [("reordered_results", "message 3")],
        ),
        ([USER, calls(call("call_0123456789"))], [("mapped_id", "message 2")]),
        ([USER, calls(call("abcdefgh")), result("abcdefgh"), ANSWER], [("mapped_id", "message 2")]),
        ([USER, SYSTEM, ANSWER], [("late_system", "message 2")]),
        ([USER, ANSWER | {"content": " \n\t"}], [("empty_target", "message 2")]),
        ([USER, {"role": "assistant"}], [("empty_target", "message 2")]),
        (
            [USER, {"role": "assistant", "content": [{"type": "text", "text": ""}]}],
            [("empty_target", "message 2")],
        ),
        ([USER, ANSWER | {"weight": 0}], [("no_target", "conversation")]),
        ([USER], [("no_target", "conversation")]),
        ([USER | {"content": " "}, ANSWER], [("empty_question", "message 2")]),
        ([USER | {"content": ""}, ANSWER | {"weight": 0}, USER, ANSWER], []),
        ([USER, ANSWER | {"content": "<functioncall> {}"}], [("call_as_text", "message 2")]),
        ([USER | {"content": "<image>What?"}, ANSWER], [("media_placeholder", "message 1")]),
        ([USER, calls(call(name="g"))], [("unknown_tool", "message 2")]),
        ([USER, calls(call(arguments="{}"))], [("invalid_arguments", "message 2")]),
        ([USER, calls(call(arguments='{"n": "1"}'))], [("invalid_arguments", "message 2")]),
        ([USER, calls(call(arguments='{"n": 1, "m": 2}'))], [("invalid_arguments", "message 2")]),
        ([USER, calls(call(arguments='{"n": 1, "deep": {"s": "b"}}'))], [("invalid_arguments", "message 2")]),
    ],
)
def test_places_and_kinds(messages: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert found(messages) == expected


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ([tool(), tool()], [("duplicate_tool", "tool 2")]),
        ([tool(), tool("no blanks")], [("tool_name", "tool 2")]),
        ([tool(), tool("g" * 65)], [("tool_name", "tool 2")]),
        ([tool("f", {"type": "objct"})], [("tool_schema", "tool 1")]),
        ([tool("f", {"type": "object", "properties": {"n": {"pattern": "("}}})], [("tool_schema", "tool 1")]),
        # As draft 4 wrote bounds, whichever draft a schema names: read as the numbers they mean.
        ([tool("f", {"properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}})], []),
        (
            [tool("f", {"$schema": DRAFT_4, "properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}})],
            [],
        ),
        ([tool("f", {"$schema": DRAFT_4, "properties": {"n": {"items": {"exclusiveMaximum": False}}}})], []),
        (
            [
                tool(
                    "f",
                    {"$schema": DRAFT_4, "properties": {"n": {"type": "objct", "exclusiveMinimum": True}}},
                )
            ],
            [("tool_schema", "tool 1")],
        ),
        ([tool("f", {"$schema": DRAFT_4, "properties": {"n": {"minimum": 0}}})], []),
        # As draft 7 wrote lists of fixed length, which the newest draft refuses.
        ([tool("f", {"properties": {"p": {"type": "array", "items": [{"type": "string"}]}}})], []),
        ([{"type": "function", "function": {"name": "f"}}], []),
        ([tool("f", {})], []),
    ],
)
def test_tools(tools: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert found([USER, calls()], tools) == expected


def test_a_tool_is_learned_in_the_terms_in_which_the_server_shows_it() -> None:
    """What a request's schema becomes, a record's does: one prompt on both sides."""
    old = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}}
    body = {"tools": [tool("f", json.loads(json.dumps(old)))]}
    check_schemas(body)
    learned = Conversation.model_validate({"messages": [USER, ANSWER], "tools": [tool("f", old)]}).plain()
    assert learned["tools"][0]["function"]["parameters"] == body["tools"][0]["function"]["parameters"]
    assert learned["tools"][0]["function"]["parameters"]["properties"]["n"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
    }


def test_schemas_are_never_fetched() -> None:
    tools = [tool("f", {"$ref": "https://example.com/schema.json"})]
    conversation = Conversation.model_validate({"messages": [USER, calls()], "tools": tools})
    (problem,) = problems(conversation)
    assert problem.kind == "tool_schema" and "fetched" in problem.message


def test_messages_never_repeat_an_argument() -> None:
    bad = calls(call(arguments=json.dumps({"n": "hunter2-is-private", "deep": {"s": "also-private"}})))
    conversation = Conversation.model_validate({"messages": [USER, bad], "tools": [tool()]})
    (problem,) = problems(conversation)
    assert "private" not in problem.message and "at n (rule `type`)" in problem.message


def test_a_schema_never_reaches_out() -> None:
    """A `$ref` to another place is a broken schema; nothing is fetched from there."""
    with listener() as (url, asked):
        for draft in ({}, {"items": [{}]}):
            schema = {"$ref": f"{url}/x.json", **draft}
            assert "would have to be fetched" in (schema_problem(schema) or "")
    assert asked == []
