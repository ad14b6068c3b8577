"""Preferences of several origins, told apart by their keys.

- OpenAI's preference fine-tuning files: `input` with `messages` and `tools`, `preferred_output` and
  `non_preferred_output`, each of one message. `parallel_tool_calls` is a setting that no prompt shows.
- TRL's data sets: `prompt`, `chosen` and `rejected`, each a text or a list of messages, and `tools`.
  `chosen` and `rejected` may also be whole conversations that are the same up to their last message, with a
  `prompt` beside them or without one.

TRL's calls and their results have no ids: calls get derived ones, and results answer them in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from data.formats.importing import imported
from data.formats.openai import messages
from data.formats.parts import Fields, call_id, labels, objects, tools
from data.formats.reader import raw
from data.formats.record import Raw
from data.formats.shapes import UnclearError
from data.preference import Preference

_OPENAI = ("input", "preferred_output", "non_preferred_output")
_TRL = ("chosen", "rejected")


@dataclass(frozen=True, slots=True)
class PreferenceRecord:
    """One preference of a source, or the reason and the next step where it could not be read.

    `where` is the place, as in `data.formats.Record`.
    """

    where: str
    preference: Preference | None
    problem: str | None
    unused: tuple[str, ...] = ()

    def taken(self) -> Preference:
        """The preference; UserError with place, reason and next step where there is none."""
        if self.preference is None:
            raise UserError(f"{self.where}: {self.problem}")
        return self.preference


def scan(source: str | Path, *, ignore: frozenset[str] = frozenset()) -> Iterator[PreferenceRecord]:
    """Every record of `source` (whatever `data.formats.scan` takes), bad ones with their problem.

    UserError when the source itself cannot be read.
    """
    for one in raw(source):
        yield record(one, ignore)


def record(raw: Raw, ignore: frozenset[str] = frozenset()) -> PreferenceRecord:
    """What a raw record says as a preference."""
    made = imported(raw, preference, Preference, "a preference")
    if isinstance(made, str):
        return PreferenceRecord(raw.where, None, made)
    return PreferenceRecord(raw.where, made, None)


def preference(record: Fields) -> Fields:
    """The fields of a `Preference`, whichever of the formats the record has."""
    # Tables fill the columns of another format with nulls.
    found = [keys for keys in (_OPENAI, _TRL) if all(record.get(key) is not None for key in keys)]
    if len(found) > 1:
        raise UnclearError(
            "it has `preferred_output` (OpenAI's) and `chosen` (TRL's), so it may be either; delete one."
        )
    if not found:
        has = ", ".join(repr(key) for key in list(record)[:20] if record[key] is not None)[:300] or "none"
        raise UnclearError(
            "a preference has `input`, `preferred_output` and `non_preferred_output`, or `chosen` and"
            f" `rejected`, but its keys are {has}; convert it first."
        )
    return _openai(record) if found[0] is _OPENAI else _trl(record)


def _openai(record: Fields) -> Fields:
    given = record["input"]
    if not isinstance(given, dict):
        raise ValueError(f"`input` is not an object but a {type(given).__name__}")
    prompt = objects(given, "messages")
    sides = [_one_answer(objects(record, name), name) for name in _OPENAI[1:]]
    return _parted(record, given.get("tools"), prompt, [[*prompt, side] for side in sides], _OPENAI[1:])


def _trl(record: Fields) -> Fields:
    prompt = _messages(record, "prompt", "user") if record.get("prompt") is not None else None
    sides = [_messages(record, name, "assistant") for name in _TRL]
    if prompt is None or any(side and side[0].get("role") != "assistant" for side in sides):
        return _parted(record, record.get("tools"), prompt, sides, _TRL)
    whole = [[*prompt, _one_answer(side, name)] for side, name in zip(sides, _TRL, strict=True)]
    return _parted(record, record.get("tools"), prompt, whole, _TRL)


def _messages(record: Fields, name: str, role: str) -> list[Fields]:
    value = record[name]
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not isinstance(value, list):
        raise ValueError(f"`{name}` is neither text nor a list of messages, but a {type(value).__name__}")
    return objects(record, name)


def _one_answer(side: list[Fields], name: str) -> Fields:
    if len(side) != 1:
        raise ValueError(f"`{name}` holds {len(side)} messages, but an answer is one assistant message")
    return side[0]


def _parted(
    record: Fields,
    offered: object,
    prompt: list[Fields] | None,
    sides: list[list[Fields]],
    names: tuple[str, ...],
) -> Fields:
    """Two whole conversations as what they share, which is `prompt` where that is given, and two answers."""
    chosen, rejected = map(_renewed, sides)
    for side, name in zip((chosen, rejected), names, strict=True):
        if not side:
            raise ValueError(f"`{name}` holds no message, but an answer is one assistant message")
        if (role := side[-1].get("role")) != "assistant":
            raise ValueError(
                f"`{name}` ends in a message of the role {role!r}, but an answer is an assistant's"
            )
    shared = chosen[:-1]
    if shared != rejected[:-1]:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` differ before the last of their {len(chosen)} and {len(rejected)}"
            " messages, but only their last messages may differ"
        )
    if prompt is not None and _renewed(prompt) != shared:
        raise ValueError(f"`{names[0]}` and `{names[1]}` do not begin with `prompt` and nothing else")
    if not shared:
        raise ValueError("no message stands before the two answers, so nothing was asked; give a `prompt`")
    return labels(record) | {
        "prompt": shared,
        "tools": tools(offered),
        "chosen": chosen[-1],
        "rejected": rejected[-1],
    }


def _renewed(given: list[Fields]) -> list[Fields]:
    """Messages in OpenAI's form of today, with ids for calls and results that have none."""
    made = messages(given)
    waiting: list[str] = []
    for number, message in enumerate(made):
        if isinstance(calls := message.get("tool_calls"), list):
            message["tool_calls"] = [_with_id(call, f"{number} {place}") for place, call in enumerate(calls)]
            waiting = [call["id"] for call in message["tool_calls"] if isinstance(call, dict)]
        elif message.get("role") == "tool" and message.get("tool_call_id") is None and waiting:
            message["tool_call_id"] = waiting.pop(0)
    return made


def _with_id(call: Any, place: str) -> Any:
    """A call with the id that it has, else with one that no call at another place of the conversation has."""
    return call | {"id": call_id(place)} if isinstance(call, dict) and call.get("id") is None else call
