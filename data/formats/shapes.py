"""Which format a record has: named, or told by its keys. What may be two formats is refused, not guessed."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from data.errors import UserError
from data.formats.alpaca import ASKED, alpaca
from data.formats.completion import completion
from data.formats.hermes import has_tools, hermes
from data.formats.importing import Importer
from data.formats.keys import Fields, Reader
from data.formats.openai import openai
from data.formats.pairs import pairs
from data.formats.problems import RefusalError
from data.formats.sharegpt import glaive, sharegpt
from data.formats.xlam import xlam


@dataclass(frozen=True)
class Shape:
    """A format: the keys that a record of it has, and the function that turns it into OpenAI's shape."""

    keys: tuple[str, ...]
    read: Importer
    others: tuple[tuple[str, ...], ...] = ()
    """Other names that a record of it may have them under."""

    def fits(self, record: Fields) -> bool:
        """Whether a record has the keys."""
        return any(all(key in record for key in keys) for keys in (self.keys, *self.others))

    def __str__(self) -> str:
        return " and ".join(f"`{key}`" for key in self.keys)

    def spellings(self) -> list[str]:
        """The keys under each of their names, as a message has them."""
        return [" and ".join(f"`{key}`" for key in keys) for keys in (self.keys, *self.others)]


_SHAPES = {
    "openai": Shape(("messages",), openai),
    "sharegpt": Shape(("conversations",), sharegpt),
    "xlam": Shape(("query", "answers"), xlam),
    "alpaca": Shape(("instruction", "output"), alpaca, tuple((key, "response") for key in ASKED)),
    "pairs": Shape(("conversation",), pairs),
    "completion": Shape(("prompt", "completion"), completion),
    "glaive": Shape(("chat",), glaive),
}
FORMATS = (*_SHAPES, "hermes")
"""The names that `format` may have. Hermes has ShareGPT's or OpenAI's keys, and is told by its texts."""


@cache
def reader_of(name: str) -> Importer:
    """The importer of a named format; UserError when there is no such format."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FORMATS)}."
        raise UserError(f"there is no format {name!r}; {hint}")
    if name == "hermes":
        return _checked(name, (Shape(("conversations",), hermes), Shape(("messages",), hermes)))
    return _checked(name, (_SHAPES[name],))


def _checked(name: str, shapes: tuple[Shape, ...]) -> Importer:
    def read(root: Reader) -> Fields:
        _no_preference(root)
        shape = next((shape for shape in shapes if shape.fits(root.left)), None)
        if shape is None:
            known = " or ".join(map(str, shapes))
            raise RefusalError(
                f"format {name} has {known}, but its keys are {keys_of(root)}; name its own format"
            )
        return shape.read(root)

    return read


def sniff(root: Reader) -> Fields:
    """The record in OpenAI's shape, whichever format it has."""
    _no_preference(root)
    found = [name for name, shape in _SHAPES.items() if shape.fits(root.left)]
    if not found:
        known = ", ".join(one for shape in _SHAPES.values() for one in shape.spellings())
        raise RefusalError(
            f"a conversation has {known}, but its keys are {keys_of(root)}; convert it first,"
            " for instance to `messages` of `role` and `content`"
        )
    if len(found) > 1:
        both = " and ".join(f"{_SHAPES[name]} ({name})" for name in found)
        raise RefusalError(f"it has {both}, so it may be either; name the source's `format`")
    name = found[0]
    if name in ("openai", "sharegpt") and (said := _hermes_tags(root.left, name)):
        if said == "hermes":
            return hermes(root)
        raise RefusalError(f"{said}, so it may be hermes or {name}; name the source's `format`")
    return _SHAPES[name].read(root)


def _no_preference(root: Reader) -> None:
    for keys in (
        ("chosen", "rejected"),
        ("preferred_output", "non_preferred_output"),
        ("rejected_response",),
    ):
        if all(key in root.left for key in keys):
            names = " and ".join(f"`{key}`" for key in keys)
            raise RefusalError(
                f"it compares two answers ({names}), and so is a preference, which method: dpo learns from;"
                " set the recipe's `method` to dpo, or keep only the better answers, as conversations"
            )


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


def keys_of(root: Reader) -> str:
    """The keys of a record, as a message names them."""
    names = [repr(key) + (" (null)" if value is None else "") for key, value in root.given.items()]
    return ", ".join(names[:20])[:300] or "none"
