"""Calls that an answer writes as text: Glaive's `<functioncall> {...}`, ToolACE's `[Name(key="value")]`."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from data import strict_json
from data.formats.keys import Fields
from data.formats.parts import literal

TAG = "<functioncall>"
END = "<|endoftext|>"
"""What closes an answer in Glaive's texts: the base writes its own."""

_QUOTED = re.compile(r"""\{\s*"name"\s*:\s*"([^"]+)"\s*,\s*"arguments"\s*:\s*'(.*)'\s*\}""", re.DOTALL)
_NAME = re.compile(r"\s*([^()\[\]{}=,\"']*[^()\[\]{}=,\"'\s])\s*\(")
_BRACKETS = re.compile(r"\[" + _NAME.pattern)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def tagged(text: str) -> tuple[str, list[Fields]]:
    """The words and the calls of an answer with `TAG` in it; ValueError where a call is not exact."""
    words, *written = text.removesuffix(END).rstrip().split(TAG)
    return words.strip(), [_tagged(one.strip().removesuffix(END).strip()) for one in written]


def _tagged(text: str) -> Fields:
    """`{"name": ..., "arguments": '{...}'}`: Glaive puts the arguments' JSON in single quotes."""
    if match := _QUOTED.fullmatch(text):
        given = match[2] if _is_json(match[2]) else match[2].replace("\\'", "'")
        return {"name": match[1], "arguments": given}
    try:
        value = literal(text)
    except ValueError as error:
        raise ValueError(f"has a {TAG}, but {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"has a {TAG} that is no object")
    return value


def _is_json(text: str) -> bool:
    try:
        return isinstance(strict_json.loads(text), dict)
    except ValueError:
        return False


def looks_bracketed(text: str) -> bool:
    """Whether a text starts as a list of calls does."""
    return _BRACKETS.match(text.lstrip()) is not None and text.rstrip().endswith("]")


def bracketed(text: str) -> list[Fields]:
    """The calls of `[Name(key="value"), Other()]`; ValueError where they cannot be read exactly."""
    text = text.strip()
    at, found = 1, []
    while True:
        if (match := _NAME.match(text, at)) is None:
            raise ValueError("has a call in brackets without a name")
        end = _closing(text, match.end() - 1)
        found.append({"name": match[1], "arguments": _keywords(text[match.end() : end])})
        rest = text[end + 1 :].lstrip()
        if rest == "]":
            return found
        if not rest.startswith(","):
            raise ValueError("has words behind its calls in brackets")
        at = len(text) - len(rest) + 1


def _closing(text: str, start: int) -> int:
    """The place of the bracket that closes the one at `start`; quotes hide what stands in them."""
    open_ = [_PAIRS[text[start]]]
    for at, sign in _unquoted(text, start + 1):
        if sign in _PAIRS:
            open_.append(_PAIRS[sign])
        elif sign == open_[-1]:
            open_.pop()
            if not open_:
                return at
        elif sign in ")]}":
            break
    raise ValueError("has a call in brackets that is not closed")


def _unquoted(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """The signs from `start` on that stand in no quotes, with their places; the quotes are none of them."""
    quote, escaped = "", False
    for at in range(start, len(text)):
        sign = text[at]
        if not quote:
            if sign in "\"'":
                quote = sign
            else:
                yield at, sign
        elif escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == quote:
            quote = ""


def _keywords(text: str) -> Fields:
    """`key="value", other=[1, 2]` as an object."""
    found: Fields = {}
    for part in _parts(text):
        key, mark, value = part.partition("=")
        key = key.strip()
        if not mark or not key or key in found or any(sign in key for sign in "\"'([{"):
            raise ValueError("has a call in brackets whose arguments are not key=value, each once")
        found[key] = _value(value.strip())
    return found


def _parts(text: str) -> list[str]:
    """What stands between the commas that are in no bracket and in no quotes."""
    found, start, inside = [], 0, 0
    for at, sign in _unquoted(text):
        # The brackets fit: `_closing` has found where the whole ends.
        inside += (sign in _PAIRS) - (sign in ")]}")
        if sign == "," and not inside:
            found.append(text[start:at])
            start = at + 1
    found.append(text[start:])
    return found if len(found) > 1 or text.strip() else []


def _value(text: str) -> Any:
    """A JSON value or a Python literal, which may also write `true`, `false` and `null`."""
    try:
        return strict_json.loads(text)
    except ValueError:
        pass
    try:
        tree = _Names().visit(ast.parse(text, mode="eval"))
        return strict_json.loads(json.dumps(ast.literal_eval(tree), allow_nan=False))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError("has a call in brackets with an argument that is no plain value") from None


class _Names(ast.NodeTransformer):
    """JSON's names for Python's constants."""

    _CONSTANTS = {"true": True, "false": False, "null": None}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self._CONSTANTS[node.id]) if node.id in self._CONSTANTS else node
