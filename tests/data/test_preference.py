"""Preferences of each origin become one shape, and broken ones say what, where and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.chat import AssistantMessage
from data.formats.preference import PreferenceRecord, scan
from data.preference import Preference, problems

QUESTION = {"role": "user", "content": "Weather in Porto?"}
SYSTEM = {"role": "system", "content": "Be brief."}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Now", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def called(arguments: Any, **more: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": arguments}, **more}],
    }


RIGHT, WRONG = called('{"city": "Porto"}', id="abcdefghi"), said("Let me think.")


def scanned(folder: Path, *records: Any) -> list[PreferenceRecord]:
    path = folder / "pairs.jsonl"
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return list(scan(path))


def one(folder: Path, record: Any) -> Preference:
    (found,) = scanned(folder, record)
    return found.taken()


def test_openais_preference_files(tmp_path: Path) -> None:
    record = {
        "input": {"messages": [SYSTEM, QUESTION], "tools": [TOOL], "parallel_tool_calls": False},
        "preferred_output": [RIGHT],
        "non_preferred_output": [WRONG],
        "id": 7,
        "group": "porto",
        "category": "words",
    }
    read = one(tmp_path, record)
    assert (read.id, read.group, read.category) == ("7", "porto", "words")
    assert read.plain() == {
        "input": {"messages": [SYSTEM, QUESTION], "tools": [TOOL]},
        "preferred_output": [RIGHT],
        "non_preferred_output": [WRONG],
    }


def test_the_example_of_openais_guide(tmp_path: Path) -> None:
    """Its tools are empty, and so is what a prompt shows of them."""
    asked = {"role": "user", "content": "Hello, can you tell me how cold San Francisco is today?"}
    record = {
        "input": {"messages": [asked], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [said("Today in San Francisco, it is not quite cold as expected.")],
        "non_preferred_output": [said("It is not particularly cold in San Francisco today.")],
    }
    read = one(tmp_path, record)
    assert (read.tools, read.prompt[0].content) == ([], asked["content"])
    assert read.chosen.content == "Today in San Francisco, it is not quite cold as expected."
    assert read.rejected.content == "It is not particularly cold in San Francisco today."


def plain(prompt: list[Any], chosen: Any, rejected: Any, tools: list[Any] | None = None) -> dict[str, Any]:
    asked = {"messages": prompt} | ({"tools": tools} if tools else {})
    return {"input": asked, "preferred_output": [chosen], "non_preferred_output": [rejected]}


BLUE, GREEN = said("It is blue."), said("It is green.")
SKY = {"role": "user", "content": "What color is the sky?"}
# TRL's shapes, from its documentation of data sets and from data sets of the hub: (record, expected).
TRL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "texts": (
        {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."},
        plain([{"role": "user", "content": "The sky is"}], said(" blue."), said(" green.")),
    ),
    "messages": ({"prompt": [SKY], "chosen": [BLUE], "rejected": [GREEN]}, plain([SKY], BLUE, GREEN)),
    "implicit prompt": ({"chosen": [SKY, BLUE], "rejected": [SKY, GREEN]}, plain([SKY], BLUE, GREEN)),
    "implicit prompt of turns": (
        {"chosen": [SYSTEM, SKY, BLUE, QUESTION, BLUE], "rejected": [SYSTEM, SKY, BLUE, QUESTION, GREEN]},
        plain([SYSTEM, SKY, BLUE, QUESTION], BLUE, GREEN),
    ),
    "a greeting first": (
        {"chosen": [BLUE, SKY, BLUE], "rejected": [BLUE, SKY, GREEN]},
        plain([BLUE, SKY], BLUE, GREEN),
    ),
    "prompt as text beside conversations": (
        {"prompt": SKY["content"], "chosen": [SKY, BLUE], "rejected": [SKY, GREEN], "score_chosen": 8.5},
        plain([SKY], BLUE, GREEN),
    ),
    "prompt as messages, answers as text": (
        {"prompt": [SKY], "chosen": "It is blue.", "rejected": "It is green."},
        plain([SKY], BLUE, GREEN),
    ),
    "nulls of a table": (
        {
            "prompt": None,
            "input": None,
            "chosen": [SKY, BLUE],
            "rejected": [SKY, GREEN],
            "tools": None,
            **dict.fromkeys(("preferred_output", "non_preferred_output")),
        },
        plain([SKY], BLUE, GREEN),
    ),
    "tools as text": (
        {"prompt": [QUESTION], "chosen": [RIGHT], "rejected": [WRONG], "tools": json.dumps([FUNCTION])},
        plain([QUESTION], RIGHT, WRONG, [TOOL]),
    ),
    "older names": (
        {
            "prompt": [{"role": "developer", "content": "Be brief."}, SKY],
            "chosen": [{"role": "assistant", "content": None, "refusal": "I won't."}],
            "rejected": [GREEN],
        },
        plain([SYSTEM, SKY], said("I won't."), GREEN),
    ),
}


@pytest.mark.parametrize("name", TRL)
def test_trls_data_sets(tmp_path: Path, name: str) -> None:
    record, expected = TRL[name]
    assert one(tmp_path, record).plain() == expected


def test_trls_calls_get_ids_and_results_answer_them_in_order(tmp_path: Path) -> None:
    function = {"name": "weather", "arguments": {"city": "Porto"}}
    call = {"type": "function", "function": function}
    results = [{"role": "tool", "name": "weather", "content": text} for text in ("rain", "sun")]
    shared = [QUESTION, {"role": "assistant", "tool_calls": [call, call]}, *results]
    chosen, rejected = called({"city": "Faro"}), called({"city": "Porto"})
    read = one(tmp_path, {"chosen": [*shared, chosen], "rejected": [*shared, rejected], "tools": [TOOL]})
    _, calling, first, second = read.prompt
    assert isinstance(calling, AssistantMessage)
    ids = [made.id for made in calling.tool_calls]
    assert [getattr(result, "tool_call_id", None) for result in (first, second)] == ids
    assert all(len(made) == 9 and made.isalnum() for made in ids)
    assert len({*ids, read.chosen.tool_calls[0].id}) == 3
    assert read.rejected.tool_calls[0].function.parsed() == {"city": "Porto"}
    assert problems(read) == []


def test_every_container_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    trl = {"prompt": [SKY], "chosen": [BLUE], "rejected": [GREEN]}
    openai = plain([SKY], BLUE, GREEN)
    for folder in ("a", "hub"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "1.json").write_text(json.dumps([trl, openai]))
    (tmp_path / "a" / "2.jsonl").write_text(json.dumps(openai) + "\n")
    pq.write_table(pa.Table.from_pylist([trl]), tmp_path / "a" / "3.parquet")
    pq.write_table(pa.Table.from_pylist([openai]), tmp_path / "a" / "4.parquet")
    (tmp_path / "hub" / "train.jsonl").write_text(json.dumps(trl) + "\n")
    for source, count in ((tmp_path / "a", 5), (f"{tmp_path}/a/*.parquet", 2), (f"hf:{tmp_path}/hub", 1)):
        found = [record.taken().plain() for record in scan(source)]
        assert found == [plain([SKY], BLUE, GREEN)] * count


RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "content": "rain"}


def kinds(preference: Preference) -> list[tuple[str, str]]:
    return [(problem.kind, problem.where) for problem in problems(preference)]


def made(**more: Any) -> Preference:
    record = {"prompt": [QUESTION], "tools": [TOOL], "chosen": RIGHT, "rejected": WRONG} | more
    return Preference.model_validate(record)


BAD_TOOL = {"type": "function", "function": {"name": "what is it", "parameters": SCHEMA}}
# Rules that a readable preference breaks: (changed fields, what is found).
BREAKING: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "a sound one": ({}, []),
    "a lost result": (
        {"prompt": [QUESTION, RESULT]},
        [("role_order", "message 2"), ("orphan_result", "message 2")],
    ),
    "a call without a result": (
        {
            "prompt": [QUESTION, called("{}", id="aaaaaaaaa"), QUESTION],
            "tools": [{"function": {"name": "weather"}}],
        },
        [("unanswered_call", "message 2")],
    ),
    "a late system message": ({"prompt": [QUESTION, SYSTEM, QUESTION]}, [("late_system", "message 2")]),
    "a tool's name": ({"tools": [TOOL, BAD_TOOL]}, [("tool_name", "tool 2")]),
    "a chosen call of no tool": ({"tools": []}, [("unknown_tool", "chosen")]),
    "a chosen call that breaks its schema": (
        {"chosen": called('{"town": "Porto"}', id="abcdefghi")},
        [("invalid_arguments", "chosen")],
    ),
    "a rejected call of no tool": ({"tools": [], "chosen": WRONG, "rejected": RIGHT}, []),
    "a rejected call that breaks its schema": ({"rejected": called('{"town": "Porto"}', id="abcdefghi")}, []),
    "a chosen silence": ({"chosen": said("")}, [("empty_target", "chosen")]),
    "a rejected silence": ({"rejected": said("")}, []),
    "a rejected id that stood before": (
        {"prompt": [QUESTION, RIGHT, RESULT], "chosen": WRONG, "rejected": RIGHT},
        [("duplicate_call_id", "rejected")],
    ),
    "a greeting first, which is only context": ({"prompt": [WRONG, QUESTION]}, []),
}


@pytest.mark.parametrize("name", BREAKING)
def test_rules_are_those_of_conversations(name: str) -> None:
    changed, expected = BREAKING[name]
    assert kinds(made(**changed)) == expected
