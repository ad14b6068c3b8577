"""Call ids for Mistral's formats: vLLM's where that is clear, never two of one message made one."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from data.chat import AssistantMessage, Conversation, ToolMessage
from data.ids import mistral_ids


def talk(*groups: list[str]) -> Conversation:
    """An assistant message for each group of ids, and its results."""
    messages: list[dict[str, object]] = [{"role": "user", "content": "x"}]
    for group in groups:
        calls = [{"id": each, "function": {"name": "f", "arguments": "{}"}} for each in group]
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": each, "content": "y"} for each in group]
    return Conversation.model_validate({"messages": messages})


def ids_of(conversation: Conversation) -> list[list[str]]:
    """The ids of each assistant message's calls."""
    results = [m.tool_call_id for m in conversation.messages if isinstance(m, ToolMessage)]
    groups = [[c.id for c in m.tool_calls] for m in conversation.messages if isinstance(m, AssistantMessage)]
    assert [each for group in groups for each in group] == results
    return groups


def test_ids_that_fit_stay() -> None:
    conversation = talk(["abcDEF123"], ["000000000"], ["abcDEF123"])
    assert mistral_ids(conversation) == (conversation, 0)


def test_openais_ids_become_what_vllm_keeps_of_them() -> None:
    mapped, changed = mistral_ids(talk(["call_Zy9ABCdefGHI123jkl"], ["chatcmpl-tool-0123456789abcdef"]))
    assert (ids_of(mapped), changed) == ([["HI123jkl"[-9:].rjust(9, "G")], ["789abcdef"]], 2)


def test_two_calls_of_one_message_stay_two_and_others_are_what_vllm_makes_of_them() -> None:
    mapped, changed = mistral_ids(
        talk(["call_a_123456789", "call_b_123456789", "123456789"], ["call_b_123456789"])
    )
    (first, second, third), (later,) = ids_of(mapped)
    assert first == later == "123456789" and changed == 3 and len({first, second, third}) == 3


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.text("ab1_-é", max_size=12), min_size=1, max_size=3, unique=True), max_size=5))
def test_ids_fit_and_stay_apart_and_a_prefix_is_mapped_as_the_whole(groups: list[list[str]]) -> None:
    mapped = ids_of(mistral_ids(talk(*groups))[0])
    for given_ids, fitting in zip(groups, mapped, strict=True):
        assert all(re.fullmatch(r"[a-zA-Z0-9]{9}", one) for one in fitting)
        assert len(set(fitting)) == len(given_ids)
    half = len(groups) // 2
    assert ids_of(mistral_ids(talk(*groups[:half]))[0]) == mapped[:half]
