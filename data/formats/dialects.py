"""Conversations whose answers write their calls as text, in the form of today.

Where answers write `<functioncall> {...}`, or `[Name(key="value")]` of functions that are on offer, these
become calls, and the functions that a system text describes for it become tools. ToolACE's functions have
names and types that no endpoint takes: signs other than letters, digits, _ and - become _, and types get
JSON's names.
"""

import re

from data.formats import messages, offered, python_types, written
from data.formats.keys import Fields, Reader
from data.formats.parts import agreed, arguments, definitions
from data.formats.turns import TAKEN

_OTHER_SIGNS = re.compile(r"[^a-zA-Z0-9_-]")


def renewed(root: Reader, given: list[Fields], tools: list[Fields]) -> tuple[list[Fields], list[Fields]]:
    """The messages with calls for those that are text, and the tools on offer."""
    answers = [_text(one) for one in given if _speaker(one) == "assistant"]
    systems = [text for name in messages.SYSTEM if isinstance(text := root.left.get(name), str)]
    systems += [_text(one) for one in given if _says_system(one)]
    tagged = any(written.TAG in text for text in (*answers, *systems))
    bracketed = not tagged and any(map(written.looks_bracketed, answers))
    if not (tagged or bracketed or any(map(offered.known, systems))):
        return given, tools
    functions: list[Fields] = []
    for name in messages.SYSTEM:
        if isinstance(text := root.left.get(name), str):
            root.left[name] = _taken(text, functions)
    given = [
        _with_text(one, _taken(_text(one), functions) or TAKEN) if _says_system(one) else one for one in given
    ]
    if not tagged:
        functions = [_plain(root, function) for function in functions]
        if len({function["name"] for function in functions}) < len(functions):
            raise ValueError("names of its functions differ only in signs that no endpoint takes")
    described = definitions(root, "system.functions", functions)
    tools = agreed(described, tools)
    names = {tool["function"]["name"] for tool in tools}
    made = [
        _called(one, number, tagged, names, bool(described)) if _speaker(one) == "assistant" else one
        for number, one in enumerate(given, 1)
    ]
    return made, tools


def _taken(text: str, functions: list[Fields]) -> str:
    """A system text without the functions that it describes, which go to `functions`."""
    if (found := offered.take(text)) is None:
        return text
    functions += found[1]
    return found[0]


def _called(message: Fields, number: int, tagged: bool, names: set[str], certain: bool) -> Fields:
    """An answer with calls in the place of their text; where it is not `certain`, text stays what it is."""
    text, words = _text(message), ""
    try:
        if tagged and written.TAG in text:
            words, calls = written.tagged(text)
        elif not tagged and written.looks_bracketed(text):
            calls = written.bracketed(text)
            if certain:
                calls = [call | {"name": _name(call["name"])} for call in calls]
            if not names.issuperset(call["name"] for call in calls):
                raise ValueError("writes a call in brackets of a function that is not on offer")
        else:
            ends = text.endswith(written.END)
            return (
                _with_text(message, text.removesuffix(written.END).rstrip()) if tagged and ends else message
            )
    except ValueError as error:
        if not (tagged or certain):
            return message
        raise ValueError(f"message {number} {error}") from None
    # As text, since it was in no table whose nulls might be padding.
    calls = [
        {
            key: arguments(value) if key in ("arguments", "parameters") else value
            for key, value in call.items()
        }
        for call in calls
    ]
    return _with_text(message, words or None) | {"tool_calls": calls}


def _plain(root: Reader, function: Fields) -> Fields:
    made = function | {"name": _name(function["name"])}
    if isinstance(parameters := function.get("parameters"), dict):
        made["parameters"] = python_types.renamed(
            parameters, lambda: root.unused("system.functions[].parameters.*.type")
        )
    return made


def _name(given: str) -> str:
    return _OTHER_SIGNS.sub("_", given.strip())[:64]


def _speaker(message: Fields) -> str | None:
    given = message.get("from") if message.get("role") is None else message["role"]
    return messages.ROLES.get(given) if isinstance(given, str) else None


def _text(message: Fields) -> str:
    """The text of a message that has one."""
    text = message.get("value") if message.get("content") is None else message["content"]
    return text if isinstance(text, str) else ""


def _says_system(message: Fields) -> bool:
    return _speaker(message) == "system" and bool(_text(message))


def _with_text(message: Fields, text: str | None) -> Fields:
    return message | {"value" if message.get("content") is None else "content": text}
