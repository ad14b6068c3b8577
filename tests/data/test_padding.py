"""Nulls that a table put there are not learned; those that are meant are, or get a word."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.chat import AssistantMessage
from data.formats import record, scan
from data.formats.keys import Fields
from data.formats.record import Raw, Record

STRING, NULLABLE = {"type": "string"}, {"type": ["string", "null"]}


def tool(name: str, properties: Fields, *required: str, **more: Any) -> Fields:
    schema = {"type": "object", "properties": properties, "required": list(required), **more}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def called(arguments: Any, *tools: Fields) -> Record:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}]
    return record(Raw("here", {"messages": messages, "tools": list(tools)}))


def learned(found: Record) -> Any:
    last = found.taken().messages[-1]
    assert isinstance(last, AssistantMessage)
    return last.tool_calls[0].function.parsed()


@pytest.mark.parametrize(
    ("given", "properties", "required", "expected", "unused"),
    [
        ({"a": "x", "b": None}, {"a": STRING}, ["a"], {"a": "x"}, ()),
        ({"a": "x", "b": None}, {"a": STRING, "b": None}, ["a"], {"a": "x"}, ()),
        ({"a": "x", "b": None}, {"a": STRING, "b": STRING}, ["a"], {"a": "x"}, ()),
        ({"a": "x", "b": None}, {"a": STRING, "b": {"enum": ["p", "q"]}}, ["a"], {"a": "x"}, ()),
        ({"a": None}, {"a": NULLABLE}, ["a"], {"a": None}, ()),
        ({"a": None}, {"a": {"anyOf": [STRING, {"type": "null"}]}}, ["a"], {"a": None}, ()),
        ({"a": None}, {"a": NULLABLE}, [], {}, ("messages[].tool_calls[].function.arguments.a",)),
        ({"a": None}, {"a": STRING}, ["a"], {"a": None}, ()),
        (
            {"a": {"b": 1, "c": None}},
            {"a": {"type": "object", "properties": {"b": {}}}},
            [],
            {"a": {"b": 1}},
            (),
        ),
        (
            {"a": [{"b": 1, "c": None}, {"b": None, "c": 2}]},
            {"a": {"items": {"properties": {"b": {"type": "integer"}, "c": {"type": "integer"}}}}},
            [],
            {"a": [{"b": 1}, {"c": 2}]},
            (),
        ),
        (
            {"a": {"any": None, "b": [{"c": None}]}},
            {"a": {"type": "object"}},
            [],
            {"a": {"b": [{}]}},
            tuple(f"messages[].tool_calls[].function.arguments.a.{key}" for key in ("any", "b.c")),
        ),
    ],
)
def test_arguments(given: Any, properties: Fields, required: list[str], expected: Any, unused: Any) -> None:
    found = called(given, tool("f", properties, *required))
    assert learned(found) == expected
    assert found.unused == unused


def test_nulls_in_the_text_of_arguments_are_meant() -> None:
    assert learned(called('{"a": null}', tool("f", {"b": STRING}))) == {"a": None}


def test_nulls_of_which_no_schema_speaks_are_counted() -> None:
    for found in (called({"a": None}, tool("f", {}, additionalProperties=True)), called({"a": None})):
        assert learned(found) == {}
        assert found.unused == ("messages[].tool_calls[].function.arguments.a",)


def test_schemas() -> None:
    clean = tool("f", {"a": {"type": "string", "default": None}, "default": STRING})
    assert called({}, clean).taken().tools[0].function.parameters == clean["function"]["parameters"]
    padded = tool("g", {"a": None, "b": {"type": "string", "enum": None, "default": None}, "default": None})
    kept = tool("f", {"a": {"type": ["string", "null"], "default": None, "enum": ["x", None]}})
    tools = called({}, kept, padded).taken().tools
    assert tools[0].function.parameters == kept["function"]["parameters"]
    assert tools[1].function.parameters == tool("g", {"b": STRING})["function"]["parameters"]


TOOLS = [
    tool("find", {"sku": STRING}, "sku"),
    tool("sort", {"by": NULLABLE, "deep": {"properties": {"x": STRING}}}, "by"),
]


def row(identity: str, name: str, arguments: Fields) -> Fields:
    call = {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"messages": [{"role": "user", "content": "a"}, answer], "tools": TOOLS}


ROWS = [
    row("abcdefgh1", "find", {"sku": "A7"}),
    row("abcdefgh2", "sort", {"by": None, "deep": {"x": "y"}}),
    row("abcdefgh3", "sort", {"by": "age"}),
]


@pytest.mark.parametrize("container", ["parquet", "jsonl", "json"])
def test_what_went_through_a_table_is_what_it_was(tmp_path: Path, container: str) -> None:
    table = pa.Table.from_pylist(ROWS)
    path = tmp_path / f"rows.{container}"
    if container == "parquet":
        pq.write_table(table, path)
    else:
        rows = table.to_pylist()
        path.write_text(
            json.dumps(rows) if container == "json" else "".join(json.dumps(row) + "\n" for row in rows)
        )
    found = list(scan(path))
    assert [one.problem for one in found] == [None] * 3
    assert [learned(one) for one in found] == [{"sku": "A7"}, {"by": None, "deep": {"x": "y"}}, {"by": "age"}]
    for one in found:
        assert [made.model_dump(exclude_none=True)["function"] for made in one.taken().tools] == [
            made["function"] for made in TOOLS
        ]


def test_dates_bytes_and_nan_of_a_table_are_refused_only_where_they_are_read(tmp_path: Path) -> None:
    from datetime import date

    path = tmp_path / "rows.parquet"
    row = {"prompt": "a", "completion": "b", "created_at": date(2024, 1, 1), "hash": b"x"}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (found,) = scan(path)
    assert found.problem is None and found.unused == ("created_at", "hash")
    pq.write_table(pa.Table.from_pylist([row | {"score": float("nan")}]), path)
    assert "`score`" in (next(scan(path)).problem or "")
    call = {"function": {"name": "f", "arguments": {"day": date(2024, 1, 1)}}}
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}]
    pq.write_table(pa.Table.from_pylist([{"messages": messages}]), path)
    assert "JSON has no form for" in (next(scan(path)).problem or "")


def test_a_tables_nulls_stand_in_no_answer_of_xlam_either() -> None:
    tools = [{"name": "f", "parameters": {"a": {"type": "str"}, "b": {"type": "int, optional"}}}]
    answers = [{"name": "f", "arguments": {"a": "x", "b": None, "other": None}}]
    body = {"query": "q", "tools": tools}
    assert learned(record(Raw("here", body | {"answers": answers}))) == {"a": "x"}
    text = '[{"name": "f", "arguments": {"a": "x", "b": null}}]'
    assert learned(record(Raw("here", body | {"answers": text}))) == {"a": "x", "b": None}
