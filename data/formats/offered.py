"""Functions that a system text describes as JSON, with an instruction on how to write calls as text.

The functions become tools, and the instruction is taken out, since the base's own template says it in its own
words: from a wording that is known, or else the sentence before the functions, and the lines behind them that
show the form. What stands around it stays.
"""

import json
import re
from typing import Any

from data import strict_json
from data.formats.keys import Fields
from data.formats.written import TAG

_OPENINGS = (
    "You are a helpful assistant with access to the following functions",
    "You are an expert in composing functions",
    "Here is a list of functions in JSON format that you can invoke",
)
"""Glaive's and ToolACE's."""
_CLOSINGS = ("NO other text MUST be included.", "SHOULD NOT include any other text in the response.")
_START = re.compile(r"\[\s*\{|\{\s*\"")
_FORM = re.compile(r"<functioncall>|\[[^\[\]()]+\([^)]*\)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def known(text: str) -> bool:
    """Whether a system text describes functions in one of the known wordings."""
    return any(opening in text for opening in _OPENINGS) and _functions(text) is not None


def take(text: str) -> tuple[str, list[Fields]] | None:
    """The rest of a system text, and the functions that it describes; None where it describes none.

    ValueError where the rest still speaks of the form that is taken out.
    """
    if (found := _functions(text)) is None:
        return None
    start, end, functions = found
    rest = "\n\n".join(part for part in (_before(text[:start]), _after(text[end:])) if part)
    if TAG in rest:
        raise ValueError(f"its system text speaks of {TAG} outside the instruction on calling")
    return rest, functions


def _functions(text: str) -> tuple[int, int, list[Fields]] | None:
    """Start and end of the functions in a text: one list, or one object after another.

    ValueError where not all of them can be taken: the others would vanish with the instruction.
    """
    for match in _START.finditer(text):
        found, end = _values(text, match.start())
        functions = [_unwrapped(one) for one in found]
        if found and all(map(_is_function, functions)):
            return match.start(), end, functions
        if any(isinstance(one, dict) and "parameters" in one for one in functions):
            raise ValueError("one of the functions that its system text describes has no `name`")
        if any(map(_holds_one, found)):
            raise ValueError("the functions that its system text describes stand inside another object")
    return None


def _unwrapped(value: Any) -> Any:
    """The function of a tool in OpenAI's form; anything else as it is."""
    if isinstance(value, dict) and value.keys() == {"type", "function"} and value["type"] == "function":
        return value["function"]
    return value


def _holds_one(value: Any) -> bool:
    """Whether there is a function anywhere in a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return _is_function(value) or any(map(_holds_one, inside))


def _values(text: str, start: int) -> tuple[list[Fields], int]:
    found: list[Fields] = []
    end = at = start
    try:
        while text[at : at + 1] in ("[", "{"):
            value, end = strict_json.raw_decode(text, at)
            found += value if isinstance(value, list) else [value]
            at = end + len(text[end:]) - len(text[end:].lstrip())
    except (json.JSONDecodeError, strict_json.RefusedError):
        pass
    return found, end


def _is_function(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and bool(value.keys() & {"parameters", "description"})
    )


def _before(text: str) -> str:
    places = [place for opening in _OPENINGS if (place := text.find(opening)) >= 0]
    if places:
        return text[: min(places)].strip()
    sentences = [match.start() for match in _SENTENCE.finditer(text.rstrip())]
    return text[: sentences[-1]].strip() if sentences else ""


def _after(text: str) -> str:
    for closing in _CLOSINGS:
        if (place := text.find(closing)) >= 0:
            return text[place + len(closing) :].strip()
    forms = list(_FORM.finditer(text))
    if not forms:
        return text.strip()
    _, _, after = text[forms[-1].end() :].partition("\n")
    return after.strip()
