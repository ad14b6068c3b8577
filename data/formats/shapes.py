"""Which format a record has: named, or told by its keys. What may be two formats is refused, not guessed."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from data.errors import UserError
from data.formats.alpaca import alpaca
from data.formats.completion import completion
from data.formats.hermes import has_tools, hermes
from data.formats.openai import openai
from data.formats.parts import Fields
from data.formats.sharegpt import sharegpt
from data.formats.xlam import xlam


class UnclearError(ValueError):
    """A record of no format, or of more than one; the message says the next step too."""


@dataclass(frozen=True)
class Shape:
    """A format: the keys that a record of it has, and the function that turns it into OpenAI's shape."""

    keys: tuple[str, ...]
    read: Callable[[Fields], Fields]

    def __str__(self) -> str:
        return " and ".join(f"`{key}`" for key in self.keys)


_SHAPES = {
    "openai": Shape(("messages",), openai),
    "sharegpt": Shape(("conversations",), sharegpt),
    "xlam": Shape(("query", "answers"), xlam),
    "alpaca": Shape(("instruction", "output"), alpaca),
    "completion": Shape(("prompt", "completion"), completion),
}
FORMATS = (*_SHAPES, "hermes")
"""The names that `format` may have. Hermes has ShareGPT's or OpenAI's keys, and is told by its texts."""

_PREFERENCES = {"chosen", "rejected", "preferred_output", "non_preferred_output"}
COLUMNS = frozenset(
    {"tools", "functions", "system", "input", "history", "id", "group", "category"}.union(
        _PREFERENCES, *(shape.keys for shape in _SHAPES.values())
    )
)
"""Every column of a table that some format reads."""


@cache
def reader_of(name: str) -> Callable[[Fields], Fields]:
    """The importer of a named format; UserError when there is no such format."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FORMATS)}."
        raise UserError(f"there is no format {name!r}; {hint}")
    if name == "hermes":
        return _checked(name, (Shape(("conversations",), hermes), Shape(("messages",), hermes)))
    return _checked(name, (_SHAPES[name],))


def _checked(name: str, shapes: tuple[Shape, ...]) -> Callable[[Fields], Fields]:
    def read(record: Fields) -> Fields:
        shape = next((shape for shape in shapes if all(key in record for key in shape.keys)), None)
        if shape is None:
            known = " or ".join(map(str, shapes))
            raise UnclearError(
                f"format {name} has {known}, but its keys are {_keys(record)}; name its own format."
            )
        return shape.read(record)

    return read


def sniff(record: Fields) -> Fields:
    """The record in OpenAI's shape, whichever format it has."""
    found = [name for name, shape in _SHAPES.items() if all(key in record for key in shape.keys)]
    if len(found) > 1:  # tables fill the columns of other formats with nulls
        filled = [name for name in found if any(record[key] is not None for key in _SHAPES[name].keys)]
        found = filled or found[:1]
    if not found:
        known = ", ".join(map(str, _SHAPES.values()))
        raise UnclearError(f"a conversation has {known}, but its keys are {_keys(record)}; convert it first.")
    if len(found) > 1:
        both = " and ".join(f"{_SHAPES[name]} ({name})" for name in found)
        raise UnclearError(f"it has {both}, so it may be either; name the source's `format`.")
    name = found[0]
    if name in ("openai", "sharegpt") and (said := _hermes_tags(record, name)):
        if said == "hermes":
            return hermes(record)
        raise UnclearError(f"{said}, so it may be hermes or {name}; name the source's `format`.")
    return _SHAPES[name].read(record)


def _hermes_tags(record: Fields, name: str) -> str | None:
    """`hermes`, or why it is unclear, or None for a record without Hermes' tags."""
    if name == "openai":
        system, calls = _tags(record["messages"], "role", "content", ("system",), ("assistant",))
        return (
            "its texts hold <tools> and <tool_call>" if system and calls and not record.get("tools") else None
        )
    system, calls = _tags(record["conversations"], "from", "value", ("system",), ("gpt", "assistant"))
    if system or (isinstance(record.get("system"), str) and has_tools(record["system"])):
        return "hermes"
    return "its answers hold <tool_call>, but no system text offers <tools>" if calls else None


def _tags(
    turns: Any, who: str, what: str, offers: tuple[str, ...], calls: tuple[str, ...]
) -> tuple[bool, bool]:
    """Whether a system text offers tools, and whether an answer calls one, in Hermes' tags."""
    system = called = False
    for turn in turns if isinstance(turns, list) else ():
        text = turn.get(what) if isinstance(turn, dict) else None
        if isinstance(text, str):
            role = turn.get(who)
            system = system or (role in offers and "<tools>" in text and has_tools(text))
            called = called or (role in calls and "<tool_call>" in text)
    return system, called


def _keys(record: Fields) -> str:
    return ", ".join(map(repr, list(record)[:20]))[:300] or "none"
