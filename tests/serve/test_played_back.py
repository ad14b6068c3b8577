"""What clients play back of earlier answers, in Mistral's formats: no error, and no trace in the prompt.

mistral-common's encoder is the oracle: vLLM renders with it, in the same mode.
"""

import copy
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from mistral_common.protocol.instruct.validator import ValidationMode
from transformers.tokenization_mistral_common import MistralCommonBackend

from serve.engine.vllm_terms import in_vllms_terms
from serve.routes.bounds import check_bounds
from tests.finetune.mistral_files import write_tokenizer

Talk = list[dict[str, Any]]

KINDS = ["V3 Tekken", "V7 Tekken", "V11 Tekken", "V13 Tekken"]
CALL = {
    "id": "abcdefgh1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Porto"}'},
}
TALK: Talk = [
    {"role": "system", "content": "You know the weather."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Weather in Porto?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "abcdefgh1", "content": "rain"},
    {"role": "assistant", "content": "It rains."},
    {"role": "user", "content": "Thanks. And tomorrow?"},
]


@lru_cache
def tokenizer(kind: str) -> Any:
    folder = Path(mkdtemp())
    write_tokenizer(kind, folder)
    return MistralCommonBackend.from_pretrained(folder, mode=ValidationMode.test)


def prompt(kind: str, talk: Talk) -> list[int]:
    """The token ids of a request's prompt, through all that this server does to it."""
    body = in_vllms_terms(check_bounds({"messages": copy.deepcopy(talk)}), 4096, mistral=True)
    return encoded(kind, body["messages"], bool(body.get("continue_final_message")))


def encoded(kind: str, messages: Talk, goes_on: bool = False) -> list[int]:
    ids: list[int] = tokenizer(kind).apply_chat_template(
        messages, continue_final_message=goes_on, return_dict=False
    )
    return ids


def on(role: str, **members: Any) -> Callable[[Talk], None]:
    def change(talk: Talk) -> None:
        for message in talk:
            if message["role"] == role:
                message.update(members)

    return change


def with_calls(**members: Any) -> Callable[[Talk], None]:
    def change(talk: Talk) -> None:
        talk[4]["tool_calls"] = [{**CALL, **members}]

    return change


def after(number: int, *messages: dict[str, Any]) -> Callable[[Talk], None]:
    def change(talk: Talk) -> None:
        talk[number + 1 : number + 1] = [dict(one) for one in messages]

    return change


def in_items(talk: Talk) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}
    for message in talk:
        if message["role"] == "assistant" and message["content"]:
            message["content"] = [thought, {"type": "text", "text": message["content"], "annotations": []}]


NOISE: dict[str, Callable[[Talk], None]] = {
    "reasoning_content": on("assistant", reasoning_content="Two and two are four."),
    "a blank reasoning_content": on("assistant", reasoning_content="\n"),
    "reasoning": on("assistant", reasoning="Hm."),
    "reasoning as an object": on("assistant", reasoning={"text": "Hm."}, reasoning_details=[{}]),
    "thoughts among the items": in_items,
    "nulls": on("assistant", refusal=None, audio=None, function_call=None, annotations=[]),
    "no content beside calls": lambda talk: talk[4].__delitem__("content"),
    "null beside calls": lambda talk: talk[4].update(content=None),
    "an index": with_calls(index=0),
    "extra content": with_calls(index=0, extra_content={"google": {"thought_signature": "x"}}),
    "a tool's name with blanks": on("tool", name="weather lookup (v2)"),
    "a tool's own name": on("tool", name="weather"),
    "a long name": on("tool", name="w" * 400),
    "names of people": on("user", name="User proxy"),
    "names of assistants": on("assistant", name="coder"),
    "a system's name": on("system", name="chat manager"),
    "ids and options": on("user", id=12, opts={"visible": True}),
    "an empty answer": after(2, {"role": "assistant", "content": ""}),
    "an answer of nothing": after(6, {"role": "assistant"}),
    "an answer of thoughts alone": after(6, {"role": "assistant", "content": None, "reasoning": "Hm."}),
    "an empty list of calls": after(2, {"role": "assistant", "content": "", "tool_calls": []}),
    "an earlier prefix": on("assistant", prefix=True),
    "an empty prefix at the end": after(7, {"role": "assistant", "content": "", "prefix": True}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", NOISE)
def test_a_prompt_bears_no_trace_of_it(kind: str, noise: str) -> None:
    talk = copy.deepcopy(TALK)
    NOISE[noise](talk)
    assert talk != TALK
    assert prompt(kind, talk) == encoded(kind, copy.deepcopy(TALK))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [("", ""), ("chatcmpl-tool-1", "chatcmpl-tool-2"), ("a", ""), ("", "a")])
def test_ids_tell_calls_of_one_message_apart(kind: str, ids: tuple[str, str]) -> None:
    """Each result is behind the id of its own call."""
    talk = copy.deepcopy(TALK)
    talk[4]["tool_calls"] = [{**CALL, "id": one} for one in ids]
    talk[5:6] = [{"role": "tool", "tool_call_id": one, "content": f"rain {one}"} for one in ids]
    messages = in_vllms_terms(check_bounds({"messages": talk}), 4096, mistral=True)["messages"]
    made = [one["id"] for one in messages[4]["tool_calls"]]
    assert len(set(made)) == 2
    assert [one["tool_call_id"] for one in messages[5:7]] == made
    assert prompt(kind, talk)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("written", "shown"),
    [("weather lookup", "weather_lookup"), ("", "_"), ("w" * 70, "w" * 64), ("é.", "__")],
)
def test_a_function_that_the_model_made_up_ends_no_conversation(kind: str, written: str, shown: str) -> None:
    talk, other = copy.deepcopy(TALK), copy.deepcopy(TALK)
    talk[4]["tool_calls"] = [{**CALL, "function": {**CALL["function"], "name": written}}]  # type: ignore[dict-item]
    other[4]["tool_calls"] = [{**CALL, "function": {**CALL["function"], "name": shown}}]  # type: ignore[dict-item]
    assert prompt(kind, talk) == encoded(kind, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", [True, False, None])
def test_an_assistants_last_message_is_continued(kind: str, prefix: bool | None) -> None:
    begun = {"role": "assistant", "content": "It will", "prefix": prefix}
    found = prompt(kind, [*TALK, begun])
    assert found == encoded(kind, [*copy.deepcopy(TALK), {**begun, "prefix": True}], goes_on=True)
    assert found[: len(encoded(kind, copy.deepcopy(TALK)))] == encoded(kind, copy.deepcopy(TALK))


def test_a_refusal_is_the_text_of_an_answer_without_one() -> None:
    talk, other = copy.deepcopy(TALK), copy.deepcopy(TALK)
    talk[2] = {"role": "assistant", "content": None, "refusal": "I cannot."}
    other[2] = {"role": "assistant", "content": "I cannot."}
    assert prompt("V7 Tekken", talk) == encoded("V7 Tekken", other)
    talk[2] = {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]}
    assert prompt("V7 Tekken", talk) == encoded("V7 Tekken", other)
