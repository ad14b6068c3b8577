"""What marks an answer as bad, weighted, only shown, or of another modality is honored or refused."""

import json
from typing import Any

import pytest

from data.chat import AssistantMessage
from data.formats import preference, record
from data.formats.keys import Fields
from data.formats.marks import BAD, GOOD, LEARN, MEDIA, PARTLY
from data.formats.record import Raw, Record
from data.rules import problems
from tests.data.test_keys import CONVERSATIONS, PREFERENCES, copied

CALL = json.dumps({"name": "weather", "arguments": {"city": "Porto"}})
HERMES = '<tools>[{"name": "weather"}]</tools>'
# An assistant's turn of every way to write one, behind a question: (key of the turns, turns).
TURNS: dict[str, tuple[str, list[Fields]]] = {
    "openai": ("messages", [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
    "openai call": (
        "messages",
        [
            {"role": "user", "content": "a"},
            {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]},
        ],
    ),
    "ms-swift call": (
        "messages",
        [{"role": "user", "content": "a"}, {"role": "tool_call", "content": CALL}],
    ),
    "sharegpt": ("conversations", [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]),
    "sharegpt call": (
        "conversations",
        [{"from": "human", "value": "a"}, {"from": "function_call", "value": CALL}],
    ),
    "hermes": (
        "conversations",
        [{"from": "system", "value": HERMES}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
    ),
    "hermes call": (
        "conversations",
        [
            {"from": "system", "value": HERMES},
            {"from": "human", "value": "a"},
            {"from": "gpt", "value": f"<tool_call>{CALL}</tool_call>"},
        ],
    ),
    "axolotl": (
        "conversations",
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    ),
    "functioncall": (
        "conversations",
        [{"from": "human", "value": "a"}, {"from": "gpt", "value": f"<functioncall> {CALL}"}],
    ),
}
NO, YES = (False, 0, 0.0), (True, 1, 1.0)
UNCLEAR = (0.5, -1, -1.0, 2, "0", "false", "yes", [0, 1], {"a": 1})


def read(given: Fields) -> Record:
    return record(Raw("here", given))


def marked(name: str, **marks: Any) -> Record:
    key, turns = TURNS[name]
    return read({key: [*turns[:-1], turns[-1] | marks]})


def weight(found: Record) -> int:
    last = found.taken().messages[-1]
    assert isinstance(last, AssistantMessage)
    return last.weight


@pytest.mark.parametrize("key", LEARN)
@pytest.mark.parametrize("name", TURNS)
def test_an_answer_that_is_shown_is_not_learned(name: str, key: str) -> None:
    assert [weight(marked(name, **{key: value})) for value in NO] == [0, 0, 0]
    assert [weight(marked(name, **{key: value})) for value in YES] == [1, 1, 1]
    assert weight(marked(name, **{key: None})) == 1
    for value in UNCLEAR:
        found = marked(name, **{key: value})
        assert found.problem is not None and f"`{key}` of message" in found.problem, value


@pytest.mark.parametrize("key", sorted(PARTLY))
@pytest.mark.parametrize("name", TURNS)
def test_an_answer_of_which_a_part_is_learned_is_refused(name: str, key: str) -> None:
    found = marked(name, **{key: [{"begin_offset": 0, "end_offset": 1, "train": False}]})
    assert found.problem is not None and f"`{key}` of message" in found.problem


def test_flags_that_disagree_are_refused() -> None:
    found = marked("openai", train=True, weight=0)
    assert found.problem is not None and "say the opposite" in found.problem
    assert weight(marked("openai", train=False, loss=False, weight=0.0)) == 0


def test_words_and_a_call_that_are_one_message_have_one_weight() -> None:
    words, call = {"from": "gpt", "value": "Let me look."}, {"from": "function_call", "value": CALL}
    question = {"from": "human", "value": "a"}
    found = read({"conversations": [question, words, call | {"weight": 0}]})
    assert found.problem is not None and "only one of them is to be learned" in found.problem
    assert weight(read({"conversations": [question, words | {"weight": 0}, call | {"weight": 0}]})) == 0


@pytest.mark.parametrize("value", [*NO, *YES])
def test_a_flag_on_a_question_has_no_effect_and_is_counted(value: Any) -> None:
    key, turns = TURNS["sharegpt"]
    found = read({key: [turns[0] | {"train": value}, turns[1]]})
    assert weight(found) == 1 and found.unused == ("conversations[].train",)


WHOLE = {
    **{name: given for name, (given, _) in CONVERSATIONS.items() if name != "elder openai"},
    **{f"preference {name}": given for name, given in PREFERENCES.items()},
}


def any_of(name: str, **marks: Any) -> tuple[Any, str | None]:
    given = copied(WHOLE[name]) | marks
    if name.startswith("preference"):
        pair = preference.record(Raw("here", given))
        return pair.preference, pair.problem
    found = read(given)
    return found.conversation, found.problem


@pytest.mark.parametrize("name", WHOLE)
def test_a_record_that_is_marked_is_never_learned(name: str) -> None:
    for keys, bad, good in ((GOOD, NO, YES), (BAD - {"rejected"}, YES, NO), (LEARN, NO, YES)):
        for key in keys:
            for value in (*bad, *UNCLEAR):
                made, problem = any_of(name, **{key: value})
                assert made is None and problem is not None and f"`{key}` of the record" in problem, (
                    key,
                    value,
                )
            for value in good:
                assert any_of(name, **{key: value})[1] is None, (key, value)
    for keys, why in ((MEDIA, "belongs to another modality"), (PARTLY, "says which words are learned")):
        for key in keys:
            made, problem = any_of(name, **{key: ["a"]})
            assert made is None and problem is not None and f"`{key}` of the record {why}" in problem
    for more in (
        {"split": "test"},
        {"category": "rejected"},
        {"tags": ["bad"]},
        {"quality": "low"},
        {"rating": 1},
    ):
        assert any_of(name, **more)[0] is None
    assert any_of(name, split="train")[1] is None
    assert "data.on_error: skip" in str(any_of(name, label=False)[1])


@pytest.mark.parametrize("name", TURNS)
def test_a_message_that_is_marked_is_never_learned(name: str) -> None:
    for marks in (
        {"label": False},
        {"rejected": True},
        {"images": ["a.png"]},
        {"is_bad": 1},
        {"rating": "bad"},
    ):
        found = marked(name, **marks)
        assert found.problem is not None and "of message" in found.problem
    assert weight(marked(name, label=1, rejected=False)) == 1


@pytest.mark.parametrize("kind", ["image_url", "image", "input_audio", "video", "video_url", "file"])
def test_parts_of_another_modality_are_refused(kind: str) -> None:
    content = [{"type": "text", "text": "What is it?"}, {"type": kind, kind: {"url": "x"}}]
    found = read({"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "b"}]})
    assert found.problem is not None and f"part 2 of message 1 is '{kind}'" in found.problem


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("<image>What is it?", True),
        ("Listen: <audio>", True),
        ("<video>\nWhat happens?", True),
        ("Use <video src='a'></video>, or <video></video>.", False),
        ("An <img> tag", False),
    ],
)
def test_what_stands_for_a_picture_is_warned_of(text: str, warned: bool) -> None:
    found = read({"prompt": text, "completion": "b"}).taken()
    assert [problem.kind for problem in problems(found)] == ["media_placeholder"] * warned


@pytest.mark.parametrize(
    "more",
    [
        {"chosen": "a", "rejected": "b"},
        {"preferred_output": [], "non_preferred_output": []},
        {"rejected_response": "no"},
    ],
)
@pytest.mark.parametrize("format", [None, "openai"])
def test_preferences_are_no_conversations(more: Fields, format: str | None) -> None:
    given = {"messages": TURNS["openai"][1]} | more
    found = record(Raw("here", given), format)
    assert found.problem is not None and "is a preference, which method: dpo learns from" in found.problem
