"""What the readers under test make of a record, in the same terms as what it means."""

from dataclasses import dataclass
from typing import Any

from bench.fuzz_data.case import Reader
from bench.fuzz_data.talk import Slot, written
from data.chat import AssistantMessage, Conversation, Message, Tool, ToolMessage, text_of
from data.formats import Raw, preference, record
from data.preference import Preference


@dataclass(frozen=True)
class Outcome:
    """`ids` are those of calls and results, which no model is shown; `unused` the keys that were listed."""

    slots: list[Slot] | None
    ids: tuple[str, ...] = ()
    problem: str | None = None
    unused: tuple[str, ...] = ()
    made: Conversation | Preference | None = None


def outcome(
    value: Any, reader: Reader, named: str | None = None, ignore: frozenset[str] = frozenset()
) -> Outcome:
    """What comes of one record that a container held; `ignore` is what a recipe's `data.ignore` says."""
    return of_raw(Raw("fuzz:1", value), reader, named, ignore)


def of_raw(
    raw: Raw, reader: Reader, named: str | None = None, ignore: frozenset[str] = frozenset()
) -> Outcome:
    if reader == "chat":
        found = record(raw, named, ignore)
        if found.conversation is None:
            return Outcome(None, problem=found.problem)
        made = found.conversation
        slots, ids = _labelled(made, made.tools), _ids(made.messages)
        return Outcome(slots + _said(made.messages), ids, None, found.unused, made)
    one = preference.record(raw, ignore)
    if one.preference is None:
        return Outcome(None, problem=one.problem)
    both = one.preference
    slots = _labelled(both, both.tools) + [slot._replace(learned=False) for slot in _said(both.prompt)]
    for name, answer in (("chosen", both.chosen), ("rejected", both.rejected)):
        slots += [slot._replace(kind=f"{name} {slot.kind}") for slot in _said([answer])]
    ids = _ids([*both.prompt, both.chosen, both.rejected])
    return Outcome(slots, ids, None, one.unused, both)


def _labelled(made: Conversation | Preference, tools: list[Tool]) -> list[Slot]:
    found = []
    for tool in tools:
        one = tool.function
        found.append(Slot("tool", (one.name, one.description or "", written(one.parameters))))
    labels = {"category": made.category, "group": made.group, "id": made.id}
    return found + [Slot(name, (value,)) for name, value in labels.items() if value is not None]


def _said(messages: list[Message]) -> list[Slot]:
    found = []
    calls: dict[str, tuple[str, str]] = {}
    for message in messages:
        learned = isinstance(message, AssistantMessage) and bool(message.weight)
        if isinstance(message, ToolMessage):
            call = calls.get(message.tool_call_id, ("no call", ""))
            found.append(Slot("result", (text_of(message.content), *call)))
            continue
        if message.content is not None and (message.content or not getattr(message, "tool_calls", None)):
            found.append(Slot(message.role, (text_of(message.content),), learned))
        for one in getattr(message, "tool_calls", ()):
            call = (one.function.name, written(one.function.parsed()))
            calls[one.id] = call
            found.append(Slot("call", call, learned))
    return found


def _ids(messages: list[Message]) -> tuple[str, ...]:
    found: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            found.append(message.tool_call_id)
        found += [call.id for call in getattr(message, "tool_calls", ())]
    return tuple(found)
