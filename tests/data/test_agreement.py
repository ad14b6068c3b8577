"""What is written in a format reads back as what it was, for conversations of every make."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from data.chat import Conversation
from data.formats import FORMATS, read, scan

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text("abcxyz_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
IDS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789", min_size=9, max_size=9)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Messages in OpenAI's form: calls are answered in their order, each by its id."""
    made = [{"role": "system", "content": draw(WORDS.filter(bool))}] if draw(st.booleans()) else []
    ids = iter(draw(st.lists(IDS, min_size=12, max_size=12, unique=True)))
    for _ in range(draw(st.integers(1, 3))):
        made.append({"role": "user", "content": draw(WORDS)})
        calls = [
            {
                "id": next(ids),
                "type": "function",
                "function": {
                    "name": draw(NAMES),
                    "arguments": json.dumps(draw(ARGUMENTS), ensure_ascii=draw(st.booleans())),
                },
            }
            for _ in range(draw(st.integers(0, 3)))
        ]
        if calls:
            made.append({"role": "assistant", "tool_calls": calls})
            made += [{"role": "tool", "content": draw(WORDS), "tool_call_id": call["id"]} for call in calls]
        made.append({"role": "assistant", "content": draw(WORDS)})
    return made


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, Any]:
    # A schema holds no nulls but values to start from: others are a table's.
    schemas = ARGUMENTS.filter(lambda schema: "null" not in json.dumps(schema))
    functions = draw(st.lists(st.fixed_dictionaries({"name": NAMES, "parameters": schemas}), max_size=2))
    tools = [{"type": "function", "function": function} for function in functions]
    return {"messages": draw(turns())} | ({"tools": tools} if tools else {})


def read_back(text: str, format: str | None = None) -> list[Conversation]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        path.write_text(text, encoding="utf-8", newline="")
        return list(read(path, format))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(conversations(), min_size=1, max_size=3),
    st.sampled_from(["lines", "array", "indented"]),
    st.booleans(),
)
def test_openai(given: list[dict[str, Any]], container: str, ascii_only: bool) -> None:
    if container == "lines":
        text = "\r\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in given)
    else:
        text = json.dumps(given, ensure_ascii=ascii_only, indent=2 if container == "indented" else None)
    assert [one.plain() for one in read_back(text, "openai")] == given


def sharegpt(conversation: dict[str, Any]) -> dict[str, Any]:
    """The conversation as ShareGPT with Glaive's turns writes it."""
    written: list[dict[str, str]] = []
    for message in conversation["messages"]:
        for call in message.get("tool_calls", []):
            function = call["function"]
            value = json.dumps({"name": function["name"], "arguments": json.loads(function["arguments"])})
            written.append({"from": "function_call", "value": value})
        if "content" in message:
            who = {"user": "human", "assistant": "gpt", "tool": "observation"}.get(message["role"], "system")
            written.append({"from": who, "value": message["content"]})
    tools = [tool["function"] for tool in conversation.get("tools", [])]
    return {"conversations": written, "tools": json.dumps(tools)}


def numbered(conversation: dict[str, Any]) -> dict[str, Any]:
    """With parsed arguments, and each id replaced by its call's number."""
    numbers: dict[str, int] = {}
    for message in conversation["messages"]:
        for call in message.get("tool_calls", []):
            call["id"] = numbers.setdefault(call["id"], len(numbers))
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if "tool_call_id" in message:
            message["tool_call_id"] = numbers[message["tool_call_id"]]
    return conversation


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_sharegpt(given: dict[str, Any]) -> None:
    (back,) = read_back(json.dumps(sharegpt(given)), "sharegpt")
    assert numbered(back.plain()) == numbered(given)


KEYS = st.sampled_from(
    [
        "messages",
        "conversations",
        "from",
        "value",
        "role",
        "content",
        "tool_calls",
        "function_call",
        "function",
        "name",
        "arguments",
        "id",
        "tools",
        "functions",
        "query",
        "answers",
        "parameters",
        "properties",
        "type",
        "default",
        "instruction",
        "input",
        "output",
        "system",
        "history",
        "prompt",
        "completion",
        "refusal",
        "weight",
    ]
)
TEXTS = st.sampled_from(
    [
        "user",
        "assistant",
        "gpt",
        "human",
        "tool",
        "function",
        "function_call",
        "observation",
        "system",
        "[]",
        "{}",
        "<tools>[{}]</tools>",
        "<tools>{'a': {1}}</tools>",
        "<tool_call>{}</tool_call>",
        '{"name": "f"}',
        "[1]",
        "NaN",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, ANYTHING, max_size=4), st.sampled_from([None, *FORMATS]))
def test_no_record_stops_a_scan(record: dict[str, Any], format: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        path.write_text(json.dumps(record))
        (found,) = scan(path, format)
    assert (found.conversation is None) != (found.problem is None)
    assert found.problem is None or (found.problem.endswith(".") and "\n" not in found.problem)
