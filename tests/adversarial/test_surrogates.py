r"""Half of a surrogate pair: JSON can escape it (`\ud800`), and no tokenizer takes it."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from data.errors import UserError
from data.formats import read
from serve.engine.vllm_terms import in_vllms_terms
from tests.adversarial.pushed import world
from tests.serve.test_adapter_routes import error

HALF = "x\ud800y"

ASKED: dict[str, Any] = {
    "model": "tiny-awq",
    "user": "me",
    "stop": ["end"],
    "messages": [
        {"role": "system", "content": "Be brief.", "name": "rules"},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": None,
            "refusal": "",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Now",
                "parameters": {"type": "object", "properties": {"x": {"enum": ["a"], "title": "X"}}},
            },
        }
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"const": "a"}}},
    "metadata": {"run": "7"},
}
"""A request with a string in every kind of place."""


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all strings of a document."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(inner, (*path, name))


def place(path: tuple[str | int, ...]) -> str:
    first, *rest = path
    return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


def holder(document: Any, path: tuple[str | int, ...]) -> Any:
    for part in path[:-1]:
        document = document[part]
    return document


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with world(tmp_path_factory.mktemp("world")) as there:
        yield there.http


@pytest.mark.parametrize("path", list(texts(ASKED)), ids=place)
def test_a_text_of_a_request_with_half_a_character_is_named(
    http: TestClient, path: tuple[str | int, ...]
) -> None:
    asked = copy.deepcopy(ASKED)
    holder(asked, path)[path[-1]] = HALF
    why = error(http.post("/v1/chat/completions", content=json.dumps(asked)), 400, "invalid_json")
    assert f"{place(path)} holds half a character, an unpaired surrogate" in why


@pytest.mark.parametrize("path", [path for path in texts(ASKED) if isinstance(path[-1], str)], ids=place)
def test_so_is_a_key(http: TestClient, path: tuple[str | int, ...]) -> None:
    asked = copy.deepcopy(ASKED)
    holder(asked, path)[HALF] = 1
    why = error(http.post("/v1/chat/completions", content=json.dumps(asked)), 400, "invalid_json")
    assert rf"{place((*path[:-1], 'x'))}\ud800y holds half a character" in why


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (r'{"city": "\ud800"}', ""),
        (r'{"\uDFFF": 1}', ""),
        (r'{"a": [{"b": "x\ud83d"}]}', ""),
        (r'{"city": "\ude00\ud83d"}', ""),
        (r'{"city": "\ud83d\ude00"}', r'{"city": "\ud83d\ude00"}'),
        (r'{"city": "\\ud800"}', r'{"city": "\\ud800"}'),
        (r'{"city": "\ud800', r'{"city": "\ud800'),
    ],
    ids=["a value", "a key", "deep", "the halves swapped", "a whole pair", "an escaped backslash", "no JSON"],
)
@pytest.mark.parametrize("mistral", [False, True])
def test_arguments_of_earlier_calls_are_shown_as_broken_ones_are(
    arguments: str, shown: str, mistral: bool
) -> None:
    """They are the model's own words: refusing them would end the conversation. vLLM shows "" as {}."""
    asked = copy.deepcopy(ASKED)
    asked["messages"][2]["tool_calls"][0]["function"]["arguments"] = arguments
    message = in_vllms_terms(asked, 100, mistral=mistral)["messages"][2]
    assert message["tool_calls"][0]["function"]["arguments"] == shown


def test_such_a_request_is_taken(http: TestClient) -> None:
    asked = copy.deepcopy(ASKED)
    asked["messages"][2]["tool_calls"][0]["function"]["arguments"] = r'{"city": "\ud800"}'
    assert http.post("/v1/chat/completions", json=asked).status_code == 200


CALL = r'{"name": "f", "arguments": {"x": "\ud800"}}'
PRINTED = r"{'name': 'f', 'arguments': {'x': '\ud800'}}"
TOOLS = r'[{"name": "f", "description": "\ud800"}]'
QUESTION, ANSWER = {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}
GLAIVE = 'SYSTEM: x -\n{"name": "f", "description": "Now", "parameters": {}}'
RECORDS: dict[str, dict[str, Any]] = {
    "a text": {"messages": [{"role": "user", "content": HALF}, {"role": "assistant", "content": "b"}]},
    "a name": {"conversations": [{"from": HALF, "value": "a"}, ANSWER]},
    "a key": {HALF: 1, "conversations": [QUESTION, ANSWER]},
    "arguments": {
        "messages": [
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "f", "arguments": r'{"x": "\ud800"}'}}],
            },
        ]
    },
    "a call": {"conversations": [QUESTION, {"from": "function_call", "value": CALL}, ANSWER]},
    "a call as Python prints it": {
        "conversations": [QUESTION, {"from": "function_call", "value": PRINTED}, ANSWER]
    },
    "xLAM's answers": {
        "query": "a",
        "answers": f"[{CALL}]",
        "tools": '[{"name": "f", "parameters": {"x": {"type": "str"}}}]',
    },
    "Hermes' call": {
        "conversations": [
            {"from": "system", "value": '<tools>[{"name": "f"}]</tools>'},
            QUESTION,
            {"from": "gpt", "value": f"<tool_call>{CALL}</tool_call>"},
        ]
    },
    "Glaive's call": {
        "system": GLAIVE,
        "chat": f"USER: a\n\n\nASSISTANT: <functioncall> {CALL} <|endoftext|>",
    },
    "tools as text": {"conversations": [QUESTION, ANSWER], "tools": TOOLS},
    "tools in a system text": {
        "conversations": [{"from": "system", "value": f"<tools>{TOOLS}</tools>"}, QUESTION, ANSWER]
    },
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
def test_no_record_with_half_a_character_is_learnt_from(tmp_path: Path, record: dict[str, Any]) -> None:
    """Also where it is JSON within a text, which the JSON around it says nothing of."""
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match=r"data\.jsonl:1: .*(half of a surrogate pair|that JSON cannot)"):
        list(read(path))
