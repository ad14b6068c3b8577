"""No key vanishes: each is used, known to say nothing and counted, or refused by name."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.formats import preference, record
from data.formats.keys import Fields
from data.formats.marks import SILENT, Place
from data.formats.record import Raw, Record

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Now", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"name": "weather", "arguments": {"city": "Porto"}}
USER = {"role": "user", "content": [{"type": "text", "text": "Weather in Porto?"}]}
CALLING = {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": CALL}]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "rain"}
ANSWER = {"role": "assistant", "content": "It rains.", "weight": 1}
CHAT: list[Fields] = [USER, CALLING, RESULT, ANSWER]
HERMES = f"<tools>{json.dumps([FUNCTION])}</tools>"

# One whole record of every format: (record, format).
CONVERSATIONS: dict[str, tuple[Fields, str | None]] = {
    "openai": ({"messages": CHAT, "tools": [TOOL], "id": "1", "system": "Be brief."}, None),
    "elder openai": (
        {
            "functions": [FUNCTION],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "function_call": CALL},
                {"role": "function", "name": "weather", "content": "rain"},
                ANSWER,
            ],
        },
        "openai",
    ),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "hi"},
                {"from": "function_call", "value": json.dumps(CALL)},
                {"from": "observation", "value": "rain"},
                {"from": "gpt", "value": "It rains.", "weight": 1},
            ],
            "tools": [FUNCTION],
        },
        None,
    ),
    "hermes": (
        {
            "conversations": [
                {"from": "system", "value": HERMES},
                {"from": "human", "value": "hi"},
                {"from": "gpt", "value": f"<tool_call>{json.dumps(CALL)}</tool_call>"},
                {"from": "tool", "value": "<tool_response>rain</tool_response>"},
                {"from": "gpt", "value": "It rains."},
            ],
            "tools": [FUNCTION],
        },
        None,
    ),
    "xlam": ({"query": "hi", "answers": [CALL], "tools": [FUNCTION]}, None),
    "alpaca": (
        {"instruction": "Sing.", "input": "la", "output": "La!", "history": [["a", "b"]], "system": "s"},
        None,
    ),
    "ms-swift": ({"query": "hi", "response": "La!", "history": [["a", "b"]], "system": "s"}, None),
    "dolly": ({"instruction": "Sing.", "context": "la", "response": "La!"}, None),
    "pairs": (
        {"conversation": [{"human": "a", "assistant": "b"}, {"human": "c", "assistant": "d", "loss": False}]},
        None,
    ),
    "xtuner": ({"conversation": [{"system": "s", "input": "a", "output": "b"}], "tools": [TOOL]}, None),
    "completion": ({"prompt": "a", "completion": "b", "system": "s", "group": "g"}, None),
    "completion of messages": ({"prompt": [USER], "completion": CHAT[1:], "tools": [TOOL]}, None),
    "glaive": (
        {
            "system": f"SYSTEM: You can call {json.dumps(FUNCTION)}",
            "chat": f"USER: hi\n\n\nASSISTANT: <functioncall> {json.dumps(CALL)} <|endoftext|>\n",
        },
        None,
    ),
}
ASKED = {"role": "user", "content": "hi"}
GOOD, POOR = {"role": "assistant", "content": "yes"}, {"role": "assistant", "content": "no"}
PREFERENCES: dict[str, Fields] = {
    "openai": {
        "input": {"messages": [ASKED], "tools": [TOOL]},
        "preferred_output": [GOOD],
        "non_preferred_output": [CALLING],
    },
    "trl": {"prompt": [USER], "chosen": [CALLING], "rejected": [POOR], "tools": [TOOL]},
    "trl implicit": {"chosen": [ASKED, GOOD], "rejected": [ASKED, POOR], "system": "s"},
    "llama-factory": {
        "conversations": [{"from": "human", "value": "hi"}],
        "chosen": {"from": "gpt", "value": "yes"},
        "rejected": {"from": "gpt", "value": "no"},
    },
    "alpaca": {"instruction": "Say", "input": "a", "chosen": "a", "rejected": "b", "history": [["c", "d"]]},
    "ms-swift": {"messages": [ASKED, GOOD], "rejected_response": "no"},
}

Read = Callable[[Fields, frozenset[str]], tuple[Any, str | None, tuple[str, ...]]]


def copied(given: Fields) -> Fields:
    """A copy in which no object stands twice."""
    made: Fields = json.loads(json.dumps(given))
    return made


def conversation(format: str | None) -> Read:
    def read(given: Fields, ignore: frozenset[str]) -> tuple[Any, str | None, tuple[str, ...]]:
        found = record(Raw("here", given), format, ignore)
        return found.conversation, found.problem, found.unused

    return read


def compared(given: Fields, ignore: frozenset[str]) -> tuple[Any, str | None, tuple[str, ...]]:
    found = preference.record(Raw("here", given), ignore)
    return found.preference, found.problem, found.unused


READERS: dict[str, tuple[Fields, Read]] = {
    **{name: (given, conversation(format)) for name, (given, format) in CONVERSATIONS.items()},
    **{f"preference {name}": (given, compared) for name, given in PREFERENCES.items()},
}


def objects(value: Any, path: str = "") -> Iterator[tuple[str, Fields]]:
    """Every object of a record whose keys are accounted for, and its path; schemas and arguments are free."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            if key not in ("parameters", "arguments", "history"):
                yield from objects(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item, f"{path}[]")


@pytest.mark.parametrize("name", READERS)
def test_a_key_of_no_table_is_refused_by_name_wherever_it_stands(name: str) -> None:
    given, read = READERS[name]
    whole, problem, unused = read(copied(given), frozenset())
    assert problem is None and whole is not None and unused == ()
    places = [path for path, _ in objects(given)]
    for at, path in enumerate(places):
        for value in ("Answer in French.", False, 0, {"a": [1]}, ["x"]):
            changed = copied(given)
            [found for _, found in objects(changed)][at]["zz_key"] = value
            made, problem, _ = read(copied(changed), frozenset())
            assert made is None and problem is not None and "`zz_key`" in problem, (path, value)
            full = f"{path}.zz_key" if path else "zz_key"
            assert full in problem and "data.ignore" in problem and "; " in problem
            made, problem, unused = read(copied(changed), frozenset({full}))
            assert problem is None and made == whole and unused == (full,)


@pytest.mark.parametrize("name", READERS)
def test_nulls_say_nothing_wherever_they_stand(name: str) -> None:
    given, read = READERS[name]
    whole = read(copied(given), frozenset())[0]
    changed = copied(given)
    for _, found in list(objects(changed)):
        found |= {"zz_key": None, "images": None, "label": None, "zz_struct": {"a": None, "b": {"c": None}}}
    assert read(changed, frozenset()) == (whole, None, ())


@pytest.mark.parametrize("name", READERS)
def test_what_is_empty_says_nothing_and_is_counted(name: str) -> None:
    given, read = READERS[name]
    whole = read(copied(given), frozenset())[0]
    for at, (path, _) in enumerate(objects(given)):
        for value in ("", []):
            changed = copied(given)
            [found for _, found in objects(changed)][at]["zz_key"] = value
            assert read(changed, frozenset()) == (whole, None, (f"{path}.zz_key" if path else "zz_key",))


PLACES: dict[str, Place] = {
    "": "record",
    "messages[]": "message",
    "messages[].content[]": "part",
    "messages[].tool_calls[]": "call",
    "tools[].function": "tool",
}


@pytest.mark.parametrize("path", PLACES)
def test_keys_that_say_nothing_are_left_out_and_counted(path: str) -> None:
    given, read = READERS["openai"]
    whole = read(copied(given), frozenset())[0]
    for key in sorted(SILENT[PLACES[path]]):
        changed = copied(given)
        next(found for place, found in objects(changed) if place == path)[key] = "x"
        assert read(changed, frozenset()) == (whole, None, (f"{path}.{key}" if path else key,)), key


@pytest.mark.parametrize(
    "inside",
    [
        {"label": False},
        {"review": {"rejected": True}},
        {"parts": [{"image": "a.png"}]},
        {"weight": 0},
        {"kto_tag": 0},
    ],
)
def test_marks_inside_what_says_nothing_are_found(inside: Fields) -> None:
    given, read = READERS["openai"]
    made, problem, _ = read(copied(given) | {"metadata": inside}, frozenset())
    assert made is None and problem is not None and problem.startswith("`metadata.")
    assert read(copied(given) | {"metadata": inside}, frozenset({"metadata"}))[1] is None


@pytest.mark.parametrize(
    "inside",
    [
        '{"label": false}',
        "{'label': False}",
        '{"score": NaN, "label": false}',
        [{"label": 0}],
        [{"key": "label", "value": False}],
        [{"name": "correct", "score": 0}],
        {"isBad": True},
        {"Thumbs Down": 1},
        {"Label": False},
        {"keep": "no"},
        {"rejected": "TRUE"},
        {"train": "false"},
        {"split": "test"},
        {"splits": {"split": "validation"}},
        {"category": "rejected"},
        {"review": {"status": "Discarded"}},
        {"tags": ["travel", "wrong"]},
        {"raw": '{"review": "{\\"status\\": \\"rejected\\"}"}'},
    ],
)
def test_marks_are_found_in_any_spelling_and_in_text(inside: Any) -> None:
    given, read = READERS["openai"]
    for key in ("metadata", "meta"):
        made, problem, _ = read(copied(given) | {key: inside}, frozenset())
        assert made is None and problem is not None and problem.startswith(f"`{key}."), inside


@pytest.mark.parametrize(
    "inside",
    [
        {"label": "wrong way roads", "split": "train", "quality": "high", "tags": ["travel"], "keep": "yes"},
        {"title": "Rejected", "topic": "bad", "rejected": "no", "name": "label"},
        "[1] a source; {not json}",
        '{"label": true}',
        [{"key": "label", "value": True}, ["a", {"key": "n"}]],
    ],
)
def test_topics_mark_nothing(inside: Any) -> None:
    given, read = READERS["openai"]
    assert read(copied(given) | {"metadata": inside}, frozenset())[1:] == (None, ("metadata",))


def test_thoughts_in_json_mark_nothing() -> None:
    answer = GOOD | {"reasoning_content": '{"valid": false}'}
    assert record(Raw("here", {"messages": [ASKED, answer]})).problem is None
    found = record(Raw("here", {"messages": [ASKED, GOOD | {"thinking": {"keep": False}}]}))
    assert found.problem is not None and "`messages[].thinking.keep`" in found.problem


ODD = [
    *("", "a, b", "null", "12", "yes", "a: b", "#c", 'a"b', "it's", "*star", "a}b"),
    *("a\nb", "x" * 300, "ключ", "😀", "\x85"),
]


@pytest.mark.parametrize("key", ODD)
def test_the_way_to_pass_over_a_key_can_be_written_into_a_recipe(key: str) -> None:
    for given, path in (
        ({"messages": CHAT, key: "x"}, key),
        ({"messages": [ASKED, GOOD | {key: "x"}]}, f"messages[].{key}"),
    ):
        problem = record(Raw("here", copied(given))).problem
        assert problem is not None and "\n" not in problem
        ignored = yaml.safe_load(problem.removesuffix(".").partition("data.ignore: ")[2])
        assert ignored == [path]
        found = record(Raw("here", copied(given)), ignore=frozenset(ignored))
        assert found.problem is None and found.unused == (path,)


@pytest.mark.parametrize("key", ["rating", "score", "tags", "sources"])
def test_no_key_that_says_nothing_is_told_for_one_that_may_say_something(key: str) -> None:
    found = record(Raw("here", {"messages": CHAT, key: "x"}))
    assert found.problem is not None and "did you mean" not in found.problem


def test_metadata_that_marks_nothing_says_nothing() -> None:
    given, read = READERS["openai"]
    meta = {"label": "travel", "label_count": 3, "scores": [1, 2], "good": True}
    assert read(copied(given) | {"metadata": meta}, frozenset())[1:] == (None, ("metadata",))


def test_keys_inside_json_text_are_accounted_for_too() -> None:
    calls = [CALL | {"thought": "Hm."}]
    turns = [{"from": "human", "value": "hi"}, {"from": "function_call", "value": json.dumps(calls)}]
    found = record(Raw("here", {"conversations": json.dumps(turns), "tools": json.dumps([FUNCTION])}))
    assert found.problem is not None and "conversations[].value.thought" in found.problem
    tools = json.dumps([FUNCTION | {"returns": {}, "return": {"type": "string"}, "secret": 1}])
    found = record(Raw("here", {"messages": json.dumps(CHAT), "tools": tools}))
    assert found.problem is not None and "`secret` of tool 1" in found.problem
    found = record(
        Raw("here", {"messages": json.dumps(CHAT), "tools": tools}), ignore=frozenset({"tools[].secret"})
    )
    assert found.problem is None and found.unused == ("tools[].return", "tools[].secret")


@pytest.mark.parametrize("key", ["messsages", "Messages", "System", "tool", "wieght"])
def test_a_misspelt_key_gets_the_nearest_name(key: str) -> None:
    found = record(Raw("here", {"messages": CHAT, key: "x"}))
    assert found.problem is not None and "(did you mean `" in found.problem


def test_ignored_keys_are_passed_over_before_anything_reads_them(tmp_path: Path) -> None:
    bad = {"messages": [ASKED, GOOD | {"weight": 0.3}], "label": False, "images": ["a"], "x": {"y": 1}}
    ignore = frozenset({"messages[].weight", "label", "images", "x"})
    found: Record = record(Raw("here", bad), ignore=ignore)
    assert found.problem is None and set(found.unused) == ignore
