"""JSON values as messages speak of them, and the values of tables that JSON has no form for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NotJson:
    """A table's value that JSON has no form for, such as a date, bytes or NaN."""

    shown: str


def kind_of(value: Any) -> str:
    """What a value is, in words: `the number 3`, `a list`."""
    if value is None:
        return "null"
    if isinstance(value, NotJson):
        return f"{value.shown}, which JSON has no form for"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"[:40]
    if isinstance(value, str):
        return "text" if value else "empty text"
    return "a list" if isinstance(value, list) else "an object"


def absent(value: Any) -> bool:
    """Whether a value is null, or an object of nothing else: so tables fill the columns of other records."""
    return value is None or (isinstance(value, dict) and all(map(absent, value.values())))


def present(row: dict[str, Any]) -> dict[str, Any]:
    """A table's row as JSON would hold it; what JSON has no form for becomes a `NotJson`."""
    return {key: _present(value) for key, value in row.items()}


def _present(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_present(item) for item in value]
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return NotJson(repr(value)[:60])
