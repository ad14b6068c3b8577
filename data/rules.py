"""What one conversation must keep to, beyond its shape, to be learnt and served as it is meant.

`problems` knows no file and no base: what only some bases refuse (Mistral's V3 wants text or a call, not
both) is said by their renderers. Severities follow from what happens to a conversation that breaks a rule:
errors are refused by OpenAI's endpoint or Mistral's encoder, warnings are learnt although they should not
be, and notes cost nothing and are only counted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data.chat import (
    AssistantMessage,
    Conversation,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    text_of,
)
from data.ids import fits
from data.schemas import argument_problem, schema_problem

Severity = Literal["error", "warning", "note"]

SEVERITY: dict[str, Severity] = {
    "role_order": "error",
    "orphan_result": "error",
    "unanswered_call": "error",
    "duplicate_call_id": "error",
    "tool_name": "error",
    "tool_schema": "error",
    "late_system": "warning",
    "unknown_tool": "warning",
    "invalid_arguments": "warning",
    "duplicate_tool": "warning",
    "empty_target": "warning",
    "empty_question": "warning",
    "call_as_text": "warning",
    "media_placeholder": "warning",
    "no_target": "warning",
    "reordered_results": "note",
    "mapped_id": "note",
}
"""Every kind that `problems` finds; the names are stable, reports count by them."""

_CALL_AS_TEXT = re.compile(
    r"<functioncall>|<function_call>|<tool_call>|<\|tool_call|<\|python_tag\|>|\[TOOL_CALLS\]|<function=\w"
    r"|<invoke name=|\bAction Input:"
    r"|\A\s*\[\s*\w[\w ./:-]*\(\s*(?:[\w ./-]+=.*)?\)\s*\]\s*\Z"
    r"|\A\s*(?:```(?:json)?\s*)?\[?\s*\{\s*\"name\"\s*:\s*\"[^\"]*\"\s*,\s*\"(?:arguments|parameters)\"\s*:",
    re.DOTALL,
)
"""How models and data sets write calls as words: learned so, the endpoint's parser never sees a call."""

_PLACEHOLDER = re.compile(r"<(image|audio|video)>")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is a key of `SEVERITY`; `where` a place in the conversation; `message` what, and what to do."""

    kind: str
    where: str
    message: str


def problems(conversation: Conversation) -> list[Problem]:
    """Everything that is wrong with `conversation`, in the order of its messages. Empty when it is sound."""
    found = [*_order(conversation), *_answers(conversation), *_targets(conversation), *_words(conversation)]
    if conversation.tools or any(_calls(message) for message in conversation.messages):
        found += [*_tools(conversation), *_arguments(conversation)]
    return found


def _order(conversation: Conversation) -> Iterator[Problem]:
    """Roles follow each other as Mistral's encoder and an endpoint's request need it."""
    before = None
    for number, message in enumerate(conversation.messages, 1):
        role, place = message.role, f"message {number}"
        if role == "tool" and before not in ("assistant", "tool"):
            after = f"after a {before} message" if before else "first"
            yield Problem(
                "role_order", place, f"a tool message stands {after}; put it behind the call it answers."
            )
        elif isinstance(message, AssistantMessage) and message.weight and before in (None, "assistant"):
            what = "opens the conversation" if before is None else "follows another assistant message"
            yield Problem(
                "role_order",
                place,
                f"the answer to learn {what}, which no request to an endpoint can ask for; put a user message"
                " before it, join the two, or set its weight to 0.",
            )
        elif isinstance(message, SystemMessage) and before in ("assistant", "tool"):
            yield Problem(
                "role_order",
                place,
                f"a system message follows a {before} message, which Mistral's encoder refuses; move it"
                " to the start.",
            )
        elif isinstance(message, SystemMessage) and before == "user":
            yield Problem(
                "late_system", place, "a system message follows a user message; move it to the start."
            )
        before = role


def _answers(conversation: Conversation) -> Iterator[Problem]:
    """Each call has one result before the next turn, and each result one call."""
    made: set[str] = set()
    open_calls: dict[str, ToolCall] = {}
    called_at = 0
    for number, message in enumerate(conversation.messages, 1):
        place = f"message {number}"
        if isinstance(message, ToolMessage):
            yield from _result(message, place, open_calls, made)
            continue
        yield from _unanswered(open_calls, called_at)
        open_calls, called_at = {}, number
        for call in _calls(message):
            if call.id in made:
                yield Problem(
                    "duplicate_call_id",
                    place,
                    f"call id {call.id!r} stands twice; give each call its own id.",
                )
            if not fits(call.id):
                yield Problem(
                    "mapped_id",
                    place,
                    f"call id {call.id!r} is not 9 letters or digits, so Mistral's format gets a mapped one.",
                )
            made.add(call.id)
            open_calls[call.id] = call
    # A conversation may end in its calls: they are what is learnt. Ending amid their results, it may not.
    last = conversation.messages[-1]
    if isinstance(last, ToolMessage):
        yield from _unanswered(open_calls, called_at)


def _result(
    message: ToolMessage, place: str, open_calls: dict[str, ToolCall], made: set[str]
) -> Iterator[Problem]:
    identity = message.tool_call_id
    if identity not in open_calls:
        why = "was answered or left before" if identity in made else "is made nowhere before it"
        yield Problem(
            "orphan_result",
            place,
            f"the result is for call {identity!r}, which {why}; mend its tool_call_id.",
        )
        return
    if next(iter(open_calls)) != identity:
        yield Problem("reordered_results", place, "results stand in another order than their calls.")
    del open_calls[identity]


def _unanswered(open_calls: dict[str, ToolCall], number: int) -> Iterator[Problem]:
    for call in open_calls.values():
        yield Problem(
            "unanswered_call",
            f"message {number}",
            f"call {call.id!r} of {call.function.name!r} has no result before the conversation goes on; add"
            " its tool message, or end the conversation with the call.",
        )


def _targets(conversation: Conversation) -> Iterator[Problem]:
    """There is something to learn, and it says something."""
    learnt = 0
    for number, message in enumerate(conversation.messages, 1):
        if not isinstance(message, AssistantMessage) or not message.weight:
            continue
        learnt += 1
        if not message.tool_calls and not text_of(message.content).strip():
            yield Problem(
                "empty_target",
                f"message {number}",
                "the answer to learn has neither text nor a call; write it, or set its weight to 0.",
            )
    if not learnt:
        answers = any(isinstance(message, AssistantMessage) for message in conversation.messages)
        why = "all assistant messages have weight 0" if answers else "it has no assistant message"
        yield Problem(
            "no_target",
            "conversation",
            f"there is nothing to learn because {why}; add an answer or delete it.",
        )


def _words(conversation: Conversation) -> Iterator[Problem]:
    """The texts are what they seem: questions ask, calls are calls, and nothing stands for a picture."""
    before = None
    for number, message in enumerate(conversation.messages, 1):
        text, place = text_of(message.content), f"message {number}"
        if isinstance(message, AssistantMessage) and message.weight:
            if isinstance(before, UserMessage) and not text_of(before.content).strip():
                yield Problem(
                    "empty_question",
                    place,
                    "the answer to learn follows an empty question, which no request asks; write it.",
                )
            if found := _CALL_AS_TEXT.search(text):
                yield Problem(
                    "call_as_text",
                    place,
                    f"the answer to learn writes a call as words ({found[0].strip()[:30]!r}), so no endpoint"
                    " will see a call in it; write it under `tool_calls`, or name the source's `format`.",
                )
        found = _PLACEHOLDER.search(text)
        if found and f"</{found[1]}>" not in text:
            yield Problem(
                "media_placeholder",
                place,
                f"{found[0]} stands for something that this model does not see; leave the conversation out.",
            )
        before = message


def _tools(conversation: Conversation) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, tool in enumerate(conversation.tools, 1):
        name, place = tool.function.name, f"tool {number}"
        if name in seen:
            yield Problem("duplicate_tool", place, f"{name!r} is defined twice; keep one definition.")
        seen.add(name)
        if not _TOOL_NAME.fullmatch(name):
            yield Problem(
                "tool_name",
                place,
                f"{name!r} is no function name (1 to 64 of a-z, A-Z, 0-9, _ and -); rename it, in calls too.",
            )
        if tool.function.parameters and (why := schema_problem(tool.function.parameters)):
            yield Problem("tool_schema", place, f"the parameters of {name!r} {why}; mend the schema.")


def _arguments(conversation: Conversation) -> Iterator[Problem]:
    offered = {tool.function.name: tool.function.parameters for tool in conversation.tools}
    for number, message in enumerate(conversation.messages, 1):
        for call in _calls(message):
            name, place = call.function.name, f"message {number}"
            if name not in offered:
                known = ", ".join(map(repr, sorted(offered))) or "none"
                yield Problem(
                    "unknown_tool",
                    place,
                    f"{name!r} is called, but not among the tools ({_short(known)}); add its definition.",
                )
            elif why := argument_problem(offered[name] or {}, call.function.parsed()):
                yield Problem(
                    "invalid_arguments",
                    place,
                    f"the arguments of {name!r} {why}; mend the call or the schema.",
                )


def _calls(message: object) -> list[ToolCall]:
    return message.tool_calls if isinstance(message, AssistantMessage) else []


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."
