"""Importers: what real files become, and what is said of broken ones."""

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from data.chat import AssistantMessage, ToolMessage
from data.errors import UserError
from data.formats import read

GLAIVE = Path(__file__).parents[2] / ".." / "shared" / "data" / "glaive_toolcall_en_demo.json"
needs_glaive = pytest.mark.skipif(
    not GLAIVE.is_file(), reason="others' data, which this repository does not hold"
)
QUESTION = {"role": "user", "content": "hi"}
GOOD = json.dumps({"messages": [QUESTION, {"role": "assistant", "content": "hello"}]})


def wrote(folder: Path, text: str | bytes, name: str = "chats.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        list(read(path))
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


@needs_glaive
def test_every_glaive_conversation_is_read() -> None:
    raw: list[dict[str, Any]] = json.loads(GLAIVE.read_text(encoding="utf-8"))
    rows = list(read(GLAIVE))
    assert len(rows) == len(raw) == 300
    assert sum(bool(row.tools) for row in rows) == 191
    for row, record in zip(rows, raw, strict=True):
        turns = record["conversations"]
        assert [tool.function.name for tool in row.tools] == [
            tool["name"] for tool in json.loads(record["tools"])
        ]
        roles = {"human": "user", "gpt": "assistant", "function_call": "assistant", "observation": "tool"}
        assert [message.role for message in row.messages] == [roles[turn["from"]] for turn in turns]
        for message, turn in zip(row.messages, turns, strict=True):
            if turn["from"] == "function_call":
                assert isinstance(message, AssistantMessage) and message.content is None
                (call,) = message.tool_calls
                expected = json.loads(turn["value"])
                assert (call.function.name, call.function.parsed()) == (
                    expected["name"],
                    expected["arguments"],
                )
                assert re.fullmatch(r"[a-zA-Z0-9]{9}", call.id)
            else:
                assert message.content == turn["value"]


@needs_glaive
def test_glaive_observations_answer_the_call_before_them() -> None:
    for row in read(GLAIVE):
        for before, message in zip(row.messages, row.messages[1:], strict=False):
            if isinstance(message, ToolMessage):
                assert isinstance(before, AssistantMessage)
                assert message.tool_call_id == before.tool_calls[0].id


def sharegpt(*turns: tuple[str, str], **more: Any) -> str:
    return json.dumps([{"conversations": [{"from": who, "value": value} for who, value in turns], **more}])


def test_calls_in_a_row_are_parallel_and_results_keep_their_order(tmp_path: Path) -> None:
    first, second = ('{"name": "f", "arguments": {"x": 1}}', '{"name": "f", "arguments": {"x": 2}}')
    text = sharegpt(
        ("human", "both"),
        ("function_call", first),
        ("function_call", second),
        ("observation", "one"),
        ("observation", "two"),
    )
    (row,) = read(wrote(tmp_path, text))
    assert [message.role for message in row.messages] == ["user", "assistant", "tool", "tool"]
    _, calling, one, two = row.messages
    assert (
        isinstance(calling, AssistantMessage)
        and isinstance(one, ToolMessage)
        and isinstance(two, ToolMessage)
    )
    assert [call.function.parsed() for call in calling.tool_calls] == [{"x": 1}, {"x": 2}]
    assert [one.tool_call_id, two.tool_call_id] == [call.id for call in calling.tool_calls]
    assert one.tool_call_id != two.tool_call_id


def test_equal_calls_of_one_conversation_get_different_ids(tmp_path: Path) -> None:
    call = ("function_call", '{"name": "f", "arguments": {}}')
    (row,) = read(wrote(tmp_path, sharegpt(("human", "twice"), call, call)))
    last = row.messages[-1]
    assert isinstance(last, AssistantMessage)
    assert len({call.id for call in last.tool_calls}) == 2


def test_a_result_never_answers_the_unanswered_call_of_an_earlier_turn(tmp_path: Path) -> None:
    call = ("function_call", '{"name": "f", "arguments": {}}')
    text = sharegpt(("human", "a"), call, ("human", "b"), call, ("observation", "r"))
    (row,) = read(wrote(tmp_path, text))
    calling, result = row.messages[-2:]
    assert isinstance(calling, AssistantMessage) and isinstance(result, ToolMessage)
    assert result.tool_call_id == calling.tool_calls[0].id


def test_sharegpt_system_text_and_words_before_a_call(tmp_path: Path) -> None:
    call = ("function_call", '{"name": "f", "arguments": "{\\"x\\": 1}"}')
    (row,) = read(wrote(tmp_path, sharegpt(("human", "go"), ("gpt", "Let me see."), call, system="Be kind.")))
    assert [message.role for message in row.messages] == ["system", "user", "assistant"]
    last = row.messages[-1]
    assert isinstance(last, AssistantMessage)
    assert last.content == "Let me see." and last.tool_calls[0].function.parsed() == {"x": 1}


def test_nulls_of_openai_logs_are_dropped(tmp_path: Path) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": None, "refusal": None, "audio": None, "function_call": None}
    tool = {"type": "function", "function": {"name": "f", "strict": None}, "extra": None}
    messages = [QUESTION, answer | {"tool_calls": [call]}]
    (row,) = read(
        wrote(tmp_path, json.dumps({"messages": messages, "tools": [tool], "id": "a", "category": None}))
    )
    assert row.id == "a" and row.category is None
    assert row.plain() == {
        "messages": [QUESTION, {"role": "assistant", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }


def test_null_tools_and_tool_calls_mean_none(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "hello", "tool_calls": None}
    (row,) = read(wrote(tmp_path, json.dumps({"messages": [QUESTION, answer], "tools": None})))
    assert row.tools == [] and row.plain() == json.loads(GOOD)


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    rows = read(wrote(tmp_path, GOOD + "\n{broken\n"))
    assert len(list(islice(rows, 1))) == 1


def test_blank_lines_and_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    assert len(list(read(wrote(tmp_path, b"\xef\xbb\xbf" + f"\n{GOOD}\r\n\n{GOOD}\n".encode())))) == 2
    assert len(list(read(wrote(tmp_path, b"\xef\xbb\xbf\n [" + f"{GOOD},\n{GOOD}]".encode())))) == 2


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    (row,) = read(wrote(tmp_path, GOOD.replace("hello", "one\u2028two")))
    assert row.messages[-1].content == "one\u2028two"


def test_empty_files_hold_nothing(tmp_path: Path) -> None:
    assert list(read(wrote(tmp_path, ""))) == []
    assert list(read(wrote(tmp_path, "[]"))) == []


def test_missing_file(tmp_path: Path) -> None:
    assert "absent.jsonl: there is no such file; check the path" in refused(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"messages": [', "not JSON"),
        ("42", "a record is a JSON object, but this is the number 42"),
        ('{"prompt": "a"}', "`prompt` and `completion`, `chat`, but its keys are 'prompt'"),
        ('{"messages": []}', "`messages` holds no message"),
        ('{"messages": {"role": "user"}}', "`messages` is not a list of objects"),
        ('{"messages": null}', "its keys are 'messages' (null)"),
        ('{"messages": [{"role": "robot", "content": "a"}]}', "message 1 is from 'robot'; known are"),
        ('{"messages": [{"role": "user"}]}', "message 1 (the user's) has no text"),
        ('{"conversations": [{"from": "robot", "value": "a"}]}', "message 1 is from 'robot'; known are"),
        ('{"conversations": [{"from": "human"}]}', "message 1 (the user's) has no text"),
        (
            '{"conversations": [{"from": "function_call", "value": "f()"}]}',
            "message 1 is a call, but not JSON",
        ),
        (
            '{"conversations": [{"from": "function_call", "value": "[]"}]}',
            "message 1 is a call, but not an object with `name` and `arguments`",
        ),
        (
            '{"conversations": [{"from": "observation", "value": "a"}]}',
            "message 1 is a result, but no call waits for one",
        ),
        (
            '{"conversations": [{"from": "human", "value": "a"}], "tools": "{"}',
            "`tools` is text, but not JSON",
        ),
        (
            '{"conversations": [{"from": "human", "value": "a"}], "tools": "3"}',
            "`tools` is not a list of objects",
        ),
        (
            json.dumps(
                {"conversations": [{"from": "function_call", "value": '{"name": "f", "arguments": [1]}'}]}
            ),
            "arguments of 'f' are a list, not an object",
        ),
    ],
)
def test_broken_records_name_file_line_and_next_step(tmp_path: Path, line: str, reason: str) -> None:
    path = wrote(tmp_path, f"{GOOD}\n{line}\n{GOOD}\n")
    message = refused(path)
    assert message.startswith(f"{path}:2: ") and reason in message
    assert "; " in message


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (f'[{GOOD},\n\n{{"prompt": 1}}]', ":3 (record 2): ", "its keys are 'prompt'"),
        (f"[{GOOD},\n{{oops}}]", ":2: ", "not JSON"),
        (f"[{GOOD}\n{GOOD}]", ":2: ", "not JSON (Expecting ',' or ']'"),
        (f"[{GOOD}", ":1: ", "not JSON"),
        (f"[{GOOD},\n{GOOD},\n", ":3: ", "not JSON"),
        (f"[{GOOD}]\n{GOOD}", ":2: ", "not JSON (Extra data"),
    ],
)
def test_broken_arrays_name_file_and_line(tmp_path: Path, text: str, place: str, reason: str) -> None:
    path = wrote(tmp_path, text)
    message = refused(path)
    assert message.startswith(f"{path}{place}") and reason in message


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = wrote(tmp_path, GOOD.encode() + b'\n{"messages": "caf\xe9"}\n')
    assert refused(path).startswith(f"{path}:2: not UTF-8 text")
