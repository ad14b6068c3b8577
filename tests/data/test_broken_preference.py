"""Broken preferences: each gets its place, the reason and the next step, and stops nothing."""

from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.formats.preference import scan
from tests.data.test_preference import (
    QUESTION,
    RESULT,
    RIGHT,
    SKY,
    SYSTEM,
    TOOL,
    WRONG,
    called,
    said,
    scanned,
)


def pair(**more: Any) -> dict[str, Any]:
    return {"prompt": [QUESTION], "chosen": [RIGHT], "rejected": [WRONG], "tools": [TOOL]} | more


def openai(prompt: Any = (QUESTION,), chosen: Any = (RIGHT,), rejected: Any = (WRONG,)) -> dict[str, Any]:
    asked = {"messages": prompt} if isinstance(prompt, tuple | list) else prompt
    return {"input": asked, "preferred_output": chosen, "non_preferred_output": rejected}


# One broken record each, standing on line 2 behind a good one: (record, reason).
BROKEN: dict[str, tuple[Any, str]] = {
    "cut off": ('{"prompt": "a", "chosen": ', "not JSON (Expecting value"),
    "a number": ("42", "a record is a JSON object, but this is the number 42"),
    "no keys": ({}, "but its keys are none; convert it"),
    "a conversation": ({"messages": [QUESTION, WRONG]}, "but its keys are 'messages'; convert it"),
    "no rejected answer": ({"prompt": "a", "chosen": "b"}, "but its keys are 'prompt', 'chosen'; convert it"),
    "half of OpenAI's": (
        {"input": {}, "preferred_output": []},
        "but its keys are 'input', 'preferred_output'",
    ),
    "a rating": (
        {"prompt": "a", "completion": "b", "label": True},
        "but its keys are 'prompt', 'completion', 'label'",
    ),
    "both formats": (pair(**openai()), "so it may be either; delete one"),
    "input as text": (openai("hi"), "`input` is not an object but text"),
    "input as messages": (openai({"messages": "hi"}), "`input.messages` is text, but not JSON"),
    "no input messages": (openai(()), "no message stands before `"),
    "output as text": (openai(chosen="b"), "`preferred_output` is text, but not JSON"),
    "output as an object": (openai(rejected=WRONG), "`non_preferred_output` is not a list of objects"),
    "two outputs": (
        openai(chosen=[RIGHT, WRONG]),
        "`preferred_output` holds 2 messages, but an answer is one",
    ),
    "no output": (openai(rejected=[]), "`non_preferred_output` holds 0 messages, but an answer is one"),
    "an output of the user": (
        openai(chosen=[QUESTION]),
        "`preferred_output` ends in a message of the role 'user'",
    ),
    "an output without a role": (openai(chosen=[{"content": "a"}]), "ends in a message of the role None"),
    "prompt as a number": (
        pair(prompt=5),
        "`prompt` is neither text nor a list of messages, but the number",
    ),
    "chosen as a number": (
        pair(chosen=5),
        "`chosen` is neither text nor a list of messages, but the number",
    ),
    "chosen as texts": (pair(chosen=["a"]), "`chosen` is not a list of objects"),
    "an empty answer": (pair(chosen=[]), "`chosen` holds 0 messages, but an answer is one"),
    "an empty conversation": ({"chosen": [], "rejected": []}, "`chosen` holds no message"),
    "texts without a prompt": ({"chosen": "b", "rejected": "c"}, "so nothing was asked; give a `prompt`"),
    "two answers": (pair(chosen=[WRONG, RIGHT]), "`chosen` holds 2 messages, but an answer is one"),
    "an answer after a result": (pair(chosen=[RIGHT, RESULT, WRONG]), "`chosen` holds 3 messages"),
    "a rejected question": (
        {"chosen": [QUESTION, RIGHT], "rejected": [QUESTION, RIGHT, RESULT]},
        "`rejected` ends in a message of the role 'tool'",
    ),
    "another question": (
        {"chosen": [QUESTION, RIGHT], "rejected": [SKY, WRONG]},
        "differ before the last of their 2 and 2 messages",
    ),
    "longer by turns": (
        {"chosen": [QUESTION, RIGHT], "rejected": [QUESTION, WRONG, QUESTION, WRONG]},
        "the last of their 2 and 4 messages",
    ),
    "another prompt": (
        pair(prompt=[SKY], chosen=[QUESTION, RIGHT], rejected=[QUESTION, WRONG]),
        "do not begin with `prompt`",
    ),
    "one whole conversation": (
        pair(rejected=[QUESTION, WRONG]),
        "differ before the last of their 1 and 2 messages",
    ),
    "a prompt without a question": (pair(prompt=[]), "no message stands before `"),
    "a prompt that ends in an answer": (
        pair(prompt=[QUESTION, WRONG]),
        "the prompt ends in a message of the role assistant",
    ),
    "a prompt of the system alone": (
        pair(prompt=[SYSTEM]),
        "so nothing was asked; give a `prompt`",
    ),
    "the same words": (
        {"prompt": "a", "chosen": "b", "rejected": "b"},
        "the same answer, so neither can be preferred",
    ),
    "the same words in parts": (
        pair(
            chosen=[said("b c")],
            rejected=[{"role": "assistant", "content": [{"type": "text", "text": "b c"}]}],
        ),
        "the same answer",
    ),
    "the same call": (
        pair(rejected=[called('{ "city" : "Porto" }', id="xxxxxxxxx")]),
        "chosen and rejected are the same answer",
    ),
    "a weight of 0": (
        pair(chosen=[said("b", weight=0)]),
        "the answer in `chosen` is marked as not to be learned, but both are needed",
    ),
    "a rejected weight of 0": (
        pair(rejected=[said("b", weight=0)]),
        "the answer in `rejected` is marked as not to be learned, but both",
    ),
    "an unknown role": (
        pair(prompt=[QUESTION, {"role": "robot", "content": "a"}, QUESTION]),
        "message 2 of `prompt` is from 'robot'; known are",
    ),
    "a misspelt key": (
        pair(chosen=[{"role": "assistant", "contnet": "a"}]),
        "`contnet` of message 1 of `chosen` is a key that no reader knows (did you mean `content`?)",
    ),
    "content as a number": (
        pair(rejected=[{"role": "assistant", "content": 5}]),
        "message 1 of `rejected` holds the number 5, not text",
    ),
    "arguments cut off": (
        pair(chosen=[called('{"city": ', id="abcdefghi")]),
        "arguments of 'weather' are not JSON",
    ),
    "a call without a function": (
        pair(rejected=[{"role": "assistant", "tool_calls": [{"id": "a"}]}]),
        "call 1 of message 1 of `rejected` has no `name`",
    ),
    "calls as an object": (
        pair(rejected=[{"role": "assistant", "tool_calls": {}}]),
        "`tool_calls` of message 1 of `rejected` is not a list of objects but an object",
    ),
    "tools as broken text": (pair(tools="["), "`tools` is text, but not JSON"),
    "a tool without a name": (pair(tools=[{"description": "a"}]), "tool 1 has no `name`"),
    "id as a list": (pair(id=["a"]), "`id` is a list, not text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_says_why_and_stops_nothing(tmp_path: Path, name: str) -> None:
    record, reason = BROKEN[name]
    first, bad, last = scanned(tmp_path, pair(), record, pair())
    assert first.preference is not None and last.preference is not None
    assert bad.preference is None and bad.problem is not None and reason in bad.problem
    assert bad.where == f"{tmp_path}/pairs.jsonl:2"
    what, _, step = bad.problem.rpartition("; ")
    assert what and len(step.split()) >= 2 and bad.problem.endswith(".") and "\n" not in bad.problem
    with pytest.raises(UserError) as caught:
        bad.taken()
    assert str(caught.value) == f"{bad.where}: {bad.problem}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.jsonl: there is no such file; check the path"):
        list(scan(tmp_path / "absent.jsonl"))
