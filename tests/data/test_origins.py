"""Each origin's records, written by hand from its public description, become OpenAI's format."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.chat import Conversation
from data.formats import read, scan

QUESTION = {"role": "user", "content": "Weather in Porto?"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Now", "parameters": SCHEMA}}


def one(folder: Path, record: dict[str, Any], format: str | None = None) -> Conversation:
    path = folder / "chats.jsonl"
    path.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    (conversation,) = read(path, format)
    return conversation


def without_ids(conversation: Conversation) -> dict[str, Any]:
    """OpenAI's form, where ids are replaced by the call's number."""
    plain = conversation.plain()
    numbers: dict[str, str] = {}
    for message in plain["messages"]:
        for call in message.get("tool_calls", []):
            call["id"] = numbers.setdefault(call["id"], str(len(numbers)))
        if "tool_call_id" in message:
            message["tool_call_id"] = numbers[message["tool_call_id"]]
    return plain


def call(number: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": str(number), "type": "function", "function": {"name": name, "arguments": arguments}}


# OpenAI


def test_fine_tuning_files_keep_weight_and_pass_over_request_settings(tmp_path: Path) -> None:
    record = {
        "messages": [
            QUESTION,
            {"role": "assistant", "content": "Rain?", "weight": 0},
            {"role": "user", "content": "Sure?"},
            {"role": "assistant", "content": "Yes.", "weight": 1},
        ],
        "parallel_tool_calls": False,
    }
    row = one(tmp_path, record)
    assert [getattr(message, "weight", None) for message in row.messages] == [None, 0, None, 1]


def test_older_names_of_calls_and_results(tmp_path: Path) -> None:
    old = {"name": "weather", "arguments": '{"city":"Porto"}'}
    record = {
        "functions": [TOOL["function"]],
        "messages": [
            QUESTION,
            {"role": "assistant", "content": None, "function_call": old},
            {"role": "function", "name": "weather", "content": "rain"},
            {"role": "assistant", "content": "It rains."},
        ],
    }
    assert without_ids(one(tmp_path, record)) == {
        "messages": [
            QUESTION,
            {"role": "assistant", "tool_calls": [call(0, "weather", '{"city":"Porto"}')]},
            {"role": "tool", "content": "rain", "tool_call_id": "0"},
            {"role": "assistant", "content": "It rains."},
        ],
        "tools": [TOOL],
    }


def test_developer_refusal_name_and_annotations(tmp_path: Path) -> None:
    record = {
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "hi", "name": "ana"},
            {"role": "assistant", "content": None, "refusal": "I won't.", "annotations": [], "audio": None},
        ]
    }
    assert one(tmp_path, record).plain()["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "I won't."},
    ]


def test_arguments_as_an_object_and_tools_as_text(tmp_path: Path) -> None:
    logged = {"id": "0", "type": "function", "function": {"name": "weather", "arguments": {"city": "São"}}}
    record = {
        "messages": [QUESTION, {"role": "assistant", "tool_calls": [logged]}],
        "tools": json.dumps([TOOL]),
    }
    plain = one(tmp_path, record).plain()
    assert plain["messages"][1]["tool_calls"] == [call(0, "weather", '{"city": "São"}')]
    assert plain["tools"] == [TOOL]


def test_labels_of_any_format(tmp_path: Path) -> None:
    for body in (
        {"messages": [QUESTION]},
        {"prompt": "a", "completion": "b"},
        {"instruction": "a", "output": "b"},
    ):
        row = one(tmp_path, body | {"id": 7, "group": "g", "category": "c"})
        assert (row.id, row.group, row.category) == ("7", "g", "c")
        assert not {"id", "group", "category"} & row.plain().keys()


# ShareGPT


def test_a_weight_on_a_turn_is_openais(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "a", "weight": 0}, {"from": "gpt", "value": "b", "weight": 0}]
    row = one(tmp_path, {"conversations": turns})
    assert [getattr(message, "weight", None) for message in row.messages] == [None, 0]


# Hermes

NOUS = (
    "You are a function calling AI model. You are provided with function signatures within <tools></tools>"
    " XML tags. You may call one or more functions to assist with the user query. Don't make assumptions"
    " about what values to plug into functions. Here are the available tools:<tools> {tools} </tools>Use the"
    " following pydantic model json schema for each tool call you will make: {{'title': 'FunctionCall'}} For"
    " each function call return a json object with function name and arguments within <tool_call></tool_call>"
    " XML tags as follows:\n<tool_call>\n{{'arguments': <args-dict>, 'name': <function-name>}}\n</tool_call>"
)
QWEN = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided"
    " with function signatures within <tools></tools> XML tags:\n<tools>\n{tools}\n</tools>\n\nFor each"
    " function call, return a json object with function name and arguments within <tool_call></tool_call> XML"
    ' tags:\n<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)
TWO_CALLS = (
    'Let me look.\n<tool_call>\n{"arguments": {"city": "Porto"}, "name": "weather"}\n</tool_call>\n'
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Faro"}}\n</tool_call>'
)
RESULTS = '<tool_response>\n{"sky": "rain"}\n</tool_response>\n<tool_response>\nsun\n</tool_response>'


@pytest.mark.parametrize("printed", [json.dumps, repr], ids=["json", "python"])
@pytest.mark.parametrize("before", ["", "Be kind."])
@pytest.mark.parametrize("wording", [NOUS, QWEN], ids=["nous", "qwen"])
def test_hermes(tmp_path: Path, wording: str, before: str, printed: Any) -> None:
    tools = printed([TOOL]) if wording == NOUS else printed(TOOL)
    turns = [
        ("system", (before + wording.format(tools=tools)).lstrip()),
        ("human", "Porto and Faro?"),
        ("gpt", TWO_CALLS),
        ("tool", RESULTS),
        ("gpt", "Rain, and sun."),
    ]
    record = {"conversations": [{"from": who, "value": value} for who, value in turns], "id": "x"}
    system = [{"role": "system", "content": before}] if before else []
    expected = {
        "messages": [
            *system,
            {"role": "user", "content": "Porto and Faro?"},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [
                    call(0, "weather", '{"city": "Porto"}'),
                    call(1, "weather", '{"city": "Faro"}'),
                ],
            },
            {"role": "tool", "content": '{"sky": "rain"}', "tool_call_id": "0"},
            {"role": "tool", "content": "sun", "tool_call_id": "1"},
            {"role": "assistant", "content": "Rain, and sun."},
        ],
        "tools": [TOOL],
    }
    assert without_ids(one(tmp_path, record)) == expected
    assert without_ids(one(tmp_path, record, "hermes")) == expected
    roles = {"human": "user", "gpt": "assistant"}
    renamed = {"messages": [{"role": roles.get(who, who), "content": value} for who, value in turns]}
    assert without_ids(one(tmp_path, renamed, "hermes")) == expected


def test_hermes_tags_among_openais_roles_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    messages = [{"role": "system", "content": NOUS.format(tools=json.dumps([TOOL]))}, QUESTION]
    path.write_text(json.dumps({"messages": [*messages, {"role": "assistant", "content": TWO_CALLS}]}))
    (bad,) = scan(path)
    assert bad.problem is not None
    assert "may be hermes or openai; name the source's `format`" in bad.problem
    (kept,) = read(path, "openai")
    assert kept.messages[-1].content == TWO_CALLS and not kept.tools


def test_sharegpt_that_speaks_of_tags_can_be_named(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "How?"}, {"from": "gpt", "value": "Write <tool_call> first."}]
    row = one(tmp_path, {"conversations": turns}, "sharegpt")
    assert row.messages[-1].content == "Write <tool_call> first."


# xLAM


def test_xlam(tmp_path: Path) -> None:
    parameters = {
        "city": {"type": "str", "description": "Where"},
        "days": {"type": "int, optional", "description": "How many", "default": 3},
        "units": {"description": "Which", "type": "str", "default": "metric"},
        "tags": {"type": "List[str]", "description": "Which"},
        "by": {"type": "Callable[[float], float]", "description": "What"},
    }
    record = {
        "id": 4,
        "query": "Porto and Faro?",
        "tools": json.dumps([{"name": "weather", "description": "Now", "parameters": parameters}]),
        "answers": json.dumps(
            [
                {"name": "weather", "arguments": {"city": "Porto"}},
                {"name": "weather", "arguments": {"city": "Faro"}},
            ]
        ),
    }
    row = one(tmp_path, record)
    assert row.id == "4"
    assert without_ids(row) == {
        "messages": [
            {"role": "user", "content": "Porto and Faro?"},
            {
                "role": "assistant",
                "tool_calls": [
                    call(0, "weather", '{"city": "Porto"}'),
                    call(1, "weather", '{"city": "Faro"}'),
                ],
            },
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Now",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "city": {"type": "string", "description": "Where"},
                            "days": {"type": "integer", "description": "How many", "default": 3},
                            "units": {"type": "string", "description": "Which", "default": "metric"},
                            "tags": {"type": "array", "items": {"type": "string"}, "description": "Which"},
                            "by": {"description": "What"},
                        },
                        "required": ["city", "tags", "by"],
                    },
                },
            }
        ],
    }


def test_xlam_with_a_schema_keeps_it(tmp_path: Path) -> None:
    record = {"query": "a", "tools": [TOOL["function"]], "answers": [{"name": "weather", "arguments": {}}]}
    assert one(tmp_path, record).plain()["tools"] == [TOOL]


# Alpaca, and prompt with completion


def test_alpaca(tmp_path: Path) -> None:
    record = {
        "instruction": "Translate.",
        "input": "Olá",
        "output": "Hello",
        "system": "Be kind.",
        "history": [["Ready?", "Yes."]],
    }
    assert one(tmp_path, record).plain()["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Ready?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Translate.\n\nOlá"},
        {"role": "assistant", "content": "Hello"},
    ]
    bare = one(tmp_path, {"instruction": "Sing.", "input": "", "output": "La"})
    assert bare.plain()["messages"][0]["content"] == "Sing."


def test_prompt_and_completion(tmp_path: Path) -> None:
    row = one(tmp_path, {"prompt": "a", "completion": " b"})
    assert row.plain()["messages"] == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": " b"},
    ]
    prompt = [QUESTION, {"role": "assistant", "content": "Where?"}, {"role": "user", "content": "Porto"}]
    row = one(tmp_path, {"prompt": prompt, "completion": [{"role": "assistant", "content": "Rain."}]})
    assert [getattr(message, "weight", None) for message in row.messages] == [None, 0, None, 1]
    assert [message.content for message in row.messages] == ["Weather in Porto?", "Where?", "Porto", "Rain."]


def test_columns_of_other_formats_that_are_null_do_not_count(tmp_path: Path) -> None:
    record = {"messages": [QUESTION], "conversations": None, "prompt": None, "completion": None}
    assert one(tmp_path, record).plain()["messages"] == [QUESTION]
