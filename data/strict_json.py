"""JSON with one meaning or none: what only Python's parser lets through is refused."""

import json
import math
from collections.abc import Callable
from typing import Any


class RefusedError(ValueError):
    """The text is JSON to Python, but not to every reader; the message says why."""


def loads(text: str) -> Any:
    """The value of a whole text; JSONDecodeError, or RefusedError where it has no one meaning."""
    value = _guarded(_DECODER.decode, text)
    if "\\ud" in text or "\\uD" in text:
        _refuse_lone_surrogates(value)
    return value


def raw_decode(text: str, position: int) -> tuple[Any, int]:
    """The value that starts at `position`, and the place after it; the errors of `loads`."""
    value, end = _guarded(_DECODER.raw_decode, text, position)
    # Surrogates enter only as escapes, and looking for those is far cheaper than looking at every string.
    if text.find("\\ud", position, end) >= 0 or text.find("\\uD", position, end) >= 0:
        _refuse_lone_surrogates(value)
    return value, end


def end_of(text: str, position: int) -> int:
    """The place after a value that `raw_decode` refused; JSONDecodeError where it does not end."""
    return _LENIENT.raw_decode(text, position)[1]


def _guarded(decode: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return decode(*arguments)
    except (json.JSONDecodeError, RefusedError):
        raise
    except RecursionError:
        raise RefusedError("it is nested too deeply") from None
    except ValueError:  # int() takes 4300 digits at most
        raise RefusedError("a whole number has thousands of digits") from None


def is_text(text: str) -> bool:
    """Whether there is no half of a surrogate pair in it; looking for one would take ten times as long."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_whole(value: Any) -> bool:
    """Whether no text in a JSON value holds half of a surrogate pair."""
    return is_text(json.dumps(value, ensure_ascii=False))


def _refuse_lone_surrogates(value: Any) -> None:
    if not is_whole(value):
        raise RefusedError(r"it holds half of a surrogate pair (\ud800 to \udfff), which is no character")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RefusedError(f"the key {repeated[:100]!r} stands twice in one object")
    return value


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise RefusedError(f"the number {text[:30]} is larger than any float")
    return value


def _no_constant(name: str) -> None:
    raise RefusedError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(parse_int=float)
