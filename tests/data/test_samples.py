"""The committed samples are what the generator makes, and keep their promises."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema

from data.chat import AssistantMessage, Conversation, ToolCall, ToolMessage, text_of
from data.formats import read
from data.generate.__main__ import SAMPLES, write
from data.generate.names import pieces
from data.generate.tools import TRAINED, UNSEEN, clash

TRAIN = list(read(SAMPLES / "train.jsonl"))
KNOWN = list(read(SAMPLES / "heldout_known.jsonl"))
UNSEEN_ROWS = list(read(SAMPLES / "heldout_unseen.jsonl"))
CHAT = list(read(SAMPLES / "heldout_chat.jsonl"))
HELDOUT = KNOWN + UNSEEN_ROWS + CHAT
EVERYTHING = TRAIN + HELDOUT


def calls_of(row: Conversation) -> Iterator[ToolCall]:
    for message in row.messages:
        if isinstance(message, AssistantMessage):
            yield from message.tool_calls


def asked(rows: list[Conversation]) -> set[str]:
    return {text_of(message.content) for row in rows for message in row.messages if message.role == "user"}


def names(rows: list[Conversation]) -> set[str]:
    return {tool.function.name for row in rows for tool in row.tools}


def properties(rows: list[Conversation]) -> set[str]:
    return {
        name for row in rows for tool in row.tools for name in (tool.function.parameters or {})["properties"]
    }


def test_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in SAMPLES.glob("*.jsonl")}
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []


def test_sizes_and_categories() -> None:
    assert len(TRAIN) >= 600
    assert len(TRAINED) >= 30 and len(UNSEEN) >= 12
    assert {spec.name for spec in TRAINED} <= names(TRAIN)
    counts = Counter(row.category for row in TRAIN)
    assert counts.keys() == {"single", "parallel", "multi_turn", "answer", "none", "chat", "portuguese"}
    assert min(counts["single"], counts["multi_turn"], counts["parallel"], counts["none"]) > 100
    assert {row.category for row in KNOWN} == counts.keys() - {"chat"}
    assert len(KNOWN) >= 60 and len(UNSEEN_ROWS) >= 60 and len(CHAT) >= 30
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1_700_000


def test_every_call_is_valid_for_a_tool_of_its_conversation() -> None:
    for row in EVERYTHING:
        tools = {tool.function.name: tool.function for tool in row.tools}
        assert len(tools) == len(row.tools), row.id
        for call in calls_of(row):
            schema = tools[call.function.name].parameters
            assert schema is not None
            arguments = call.function.parsed()
            jsonschema.validate(arguments, {**schema, "additionalProperties": False})
            assert list(arguments) == [name for name in schema["properties"] if name in arguments], row.id


def test_call_ids_suit_mistral_and_results_name_their_call() -> None:
    for row in EVERYTHING:
        ids = [call.id for call in calls_of(row)]
        assert all(re.fullmatch(r"[a-zA-Z0-9]{9}", made) for made in ids)
        assert len(set(ids)) == len(ids)
        waiting: list[str] = []
        for message in row.messages:
            if isinstance(message, ToolMessage):
                assert message.tool_call_id == waiting.pop(0), row.id
                continue
            assert not waiting, row.id
            if isinstance(message, AssistantMessage):
                waiting = [call.id for call in message.tool_calls]


def test_ids_are_unique_and_each_conversation_ends_at_its_target() -> None:
    assert len({row.id for row in EVERYTHING}) == len(EVERYTHING)
    for row in EVERYTHING:
        last = row.messages[-1]
        assert isinstance(last, AssistantMessage), row.id
        calling = row.category in ("single", "parallel", "multi_turn", "portuguese")
        assert bool(last.tool_calls) == calling, row.id
        assert bool(last.content) != calling, row.id
        assert (len(last.tool_calls) > 1) == (row.category == "parallel"), row.id
        assert bool(row.tools) == (row.category != "chat"), row.id
        if row.category in ("none", "chat"):
            assert not list(calls_of(row)), row.id


def spoken(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from spoken(item)
    elif not isinstance(value, bool):
        yield str(value)


def test_every_argument_stands_literally_in_the_request() -> None:
    for row in EVERYTHING:
        said = " ".join(asked([row]))
        for call in calls_of(row):
            missing = [value for value in spoken(call.function.parsed()) if value not in said]
            assert not missing, (row.id, said)


def fixed(schema: dict[str, Any]) -> bool:
    """Whether the schema itself gives the values, which are then the same in every split."""
    return "enum" in schema or schema["type"] == "boolean"


def entities(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    if fixed(schema):
        return
    if schema["type"] == "object":
        for name, item in value.items():
            yield from entities(item, schema["properties"][name])
    elif schema["type"] == "array":
        for item in value:
            yield from entities(item, schema["items"])
    else:
        yield value


def values_of(rows: list[Conversation]) -> set[Any]:
    found = set()
    for row in rows:
        schemas = {tool.function.name: tool.function.parameters or {} for tool in row.tools}
        for call in calls_of(row):
            found |= set(entities(call.function.parsed(), schemas[call.function.name]))
    return found


def test_splits_share_no_entity_values() -> None:
    train, heldout = values_of(TRAIN), values_of(HELDOUT)
    assert len(train) > 500 and len(heldout) > 150
    assert not train & heldout


def test_no_request_is_in_two_files() -> None:
    files = [asked(rows) for rows in (TRAIN, KNOWN, UNSEEN_ROWS, CHAT)]
    assert sum(map(len, files)) == len(set().union(*files))


def test_unseen_tools_and_parameters_are_never_trained() -> None:
    def plain(found: set[str]) -> set[str]:
        return {" ".join(pieces(name)) for name in found}

    unseen_names = {spec.name for spec in UNSEEN}
    assert names(UNSEEN_ROWS) == unseen_names
    assert not plain(unseen_names) & plain(names(TRAIN) | names(KNOWN))
    assert names(KNOWN) <= {spec.name for spec in TRAINED}
    shared = plain(properties(UNSEEN_ROWS)) & plain(properties(TRAIN))
    assert not shared


def test_tools_that_one_request_might_mean_never_stand_together() -> None:
    by_name = {spec.name: spec for spec in TRAINED}
    together = 0
    for row in TRAIN + KNOWN:
        shown = [by_name[tool.function.name] for tool in row.tools if tool.function.name in by_name]
        for one, other in combinations(shown, 2):
            together += 1
            assert not clash(one, other), (row.id, one.name, other.name)
    assert together > 200


def test_chat_answers_are_of_ordinary_length() -> None:
    for row in CHAT:
        assert 40 <= len(text_of(row.messages[-1].content).split()) <= 120, row.id


def test_lines_are_openai_shaped() -> None:
    for line in (SAMPLES / "train.jsonl").read_text(encoding="utf-8").splitlines()[:50]:
        record = json.loads(line)
        assert list(record)[:3] == ["id", "category", "messages"]
        for message in record["messages"]:
            assert "weight" not in message and message.get("tool_calls") != []
