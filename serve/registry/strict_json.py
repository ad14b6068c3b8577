"""JSON from strangers: one meaning or none, in bounded time and memory."""

import codecs
import json
import math
from collections import Counter
from typing import Any

from data.errors import shown
from data.strict_json import is_whole

MAX_VALUES = 2**19
"""Members of objects and arrays at most: an empty array is two bytes of text and 64 of memory."""

FEW_VALUES = 2**14
"""The same for what people write, where each may become a message of its own."""

MAX_DIGITS = 64
"""Characters of a number at most: beyond these, parsers differ in what they read, or in whether they can."""


def parse(data: bytes, max_values: int = MAX_VALUES) -> Any:
    """The value; ValueError for a repeated key, a number that no double holds, half a character, or too much.

    Two parsers that meet such things may disagree about what they mean: the one that checks an adapter and
    the one that loads it must not.
    """
    # A comma within a string counts too, which is well within the limit.
    if sum(data.count(mark) for mark in b"[{,") > max_values:
        raise ValueError(f"it holds more than {max_values} values")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_real,
            parse_int=_whole,
        )
        if b"\\u" in data:
            _check_characters(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not in UTF-8, from byte {error.start} on") from None
    except json.JSONDecodeError as error:
        if not data.strip():
            raise ValueError("it is empty") from None
        raise ValueError(
            f"it is no JSON from line {error.lineno}, column {error.colno} on: {error.msg}"
        ) from None
    return value


def unmarked(data: bytes) -> bytes:
    """Return text without the byte order mark that editors and clients of Windows put before it.

    For what is read here alone: others to whom the same bytes go may refuse it.
    """
    return data.removeprefix(codecs.BOM_UTF8)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated[:100]!r} is there twice")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _whole(text: str) -> int:
    return int(_short(text))


def _real(text: str) -> float:
    value = float(_short(text))
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _short(number: str) -> str:
    if len(number) > MAX_DIGITS:
        raise ValueError(f"a number has {len(number)} digits, where at most {MAX_DIGITS} go")
    return number


def _check_characters(value: Any) -> None:
    """ValueError for half of a surrogate pair, which JSON can escape and no UTF-8 can hold."""
    if not is_whole(value):
        where = _half(value).removeprefix(".")
        raise ValueError(f"{shown(where) or 'its text'} holds half a character, an unpaired surrogate")


def _half(value: Any) -> str:
    """The place of the first half of a character, as OpenAI's errors name places: `.messages[0].content`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not is_whole(key):
                return f".{key}"
            if not is_whole(inner):
                return f".{key}{_half(inner)}"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if not is_whole(inner):
                return f"[{number}]{_half(inner)}"
    return ""
