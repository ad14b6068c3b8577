"""Whether a source holds conversations or preferences: told by the keys of its first record."""

from typing import Any, Literal

from data.errors import UserError
from data.formats import raw, text

Kind = Literal["conversation", "preference"]

_LOOKED_AT = 100
"""Records that are tried until one can be read."""


def kind_of(source: str) -> Kind:
    """The kind of `source`'s first readable record; conversations where there is none.

    A source that cannot be read is no error here: whoever reads it next says so with its place.
    """
    try:
        for _, one in zip(range(_LOOKED_AT), raw(source), strict=False):
            value = text.parsed(one).value
            if isinstance(value, dict):
                return "preference" if _compares(value) else "conversation"
    except UserError:
        pass
    return "conversation"


def named_format(path: str, format: str) -> UserError:
    """What to say of a source of preferences that names its records' format."""
    return UserError(
        f"{path}: preferences are told apart by their keys, but the source names the format {format!r};"
        " delete its `format`."
    )


def _compares(record: dict[str, Any]) -> bool:
    """Whether a record has two answers, or one of those that only a preference has (OpenAI's)."""
    has = {key for key, value in record.items() if value is not None}  # a table fills columns with nulls
    return {"chosen", "rejected"} <= has or bool({"preferred_output", "non_preferred_output"} & has)
