"""Call ids for Mistral's formats: vLLM's where that is clear, never two made one."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from data.chat import AssistantMessage, Conversation, ToolMessage
from data.ids import mistral_ids


def talk(ids: list[str]) -> Conversation:
    messages: list[dict[str, object]] = [{"role": "user", "content": "x"}]
    for given_id in ids:
        call = {"id": given_id, "function": {"name": "f", "arguments": "{}"}}
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": given_id, "content": "y"})
    return Conversation.model_validate({"messages": messages})


def ids_of(conversation: Conversation) -> list[str]:
    calls = [m.tool_calls[0].id for m in conversation.messages if isinstance(m, AssistantMessage)]
    assert calls == [m.tool_call_id for m in conversation.messages if isinstance(m, ToolMessage)]
    return calls


def test_ids_that_fit_stay() -> None:
    conversation = talk(["abcDEF123", "000000000"])
    assert mistral_ids(conversation) == (conversation, 0)


def test_openais_ids_become_what_vllm_keeps_of_them() -> None:
    mapped, changed = mistral_ids(talk(["call_Zy9ABCdefGHI123jkl", "chatcmpl-tool-0123456789abcdef"]))
    assert (ids_of(mapped), changed) == (["HI123jkl"[-9:].rjust(9, "G"), "789abcdef"], 2)


def test_two_ids_with_one_ending_stay_two() -> None:
    mapped, changed = mistral_ids(talk(["call_a_123456789", "call_b_123456789", "123456789"]))
    first, second, third = ids_of(mapped)
    assert first == "123456789" and changed == 3 and len({first, second, third}) == 3


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.text("ab1_-é", max_size=12), max_size=8))
def test_ids_fit_and_stay_apart_and_a_prefix_is_mapped_as_the_whole(ids: list[str]) -> None:
    mapped = ids_of(mistral_ids(talk(ids))[0])
    assert all(re.fullmatch(r"[a-zA-Z0-9]{9}", one) for one in mapped)
    assert len(set(mapped)) == len(set(ids))
    assert len(dict(zip(ids, mapped, strict=True))) == len(set(zip(ids, mapped, strict=True)))
    half = len(ids) // 2
    assert ids_of(mistral_ids(talk(ids[:half]))[0]) == mapped[:half]
