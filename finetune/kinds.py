"""Whether a source holds conversations or preferences: told by the keys of its first record."""

from typing import Any, Literal

from data.errors import UserError
from data.formats import raw, text
from data.formats.places import files
from data.paths import sought
from data.sources import Source

Kind = Literal["conversation", "preference"]

_LOOKED_AT = 100
"""Records that are tried until one can be read."""

_RATED = ("label", "kto_tag")


def kind_of(source: str, ignore: frozenset[str] = frozenset()) -> Kind:
    """The kind of `source`'s first readable record; conversations where there is none.

    A source that cannot be read is no error here: whoever reads it next says so with its place.
    """
    return "preference" if compared(first_keys(source, ignore)) else "conversation"


def check(source: Source, learned: Kind, ignore: frozenset[str] = frozenset()) -> None:
    """UserError where a source lies nowhere, or its first record is what this run cannot learn from."""
    if learned == "preference" and source.format is not None:
        raise UserError(
            f"{source.path}: preferences are told apart by their keys, but the source names the format"
            f" {source.format!r}; delete its `format`."
        )
    if not source.path.startswith("hf:"):
        try:
            files(source.at)
        except UserError as error:
            raise sought(error, source.looked(source.path)) from None
    keys = first_keys(source.at, ignore)
    if learned == "conversation" and (names := compared(keys)):
        also = "".join(
            f", or learn its `{key}` and pass over its answers to compare with `data.ignore: {_list(names)}`"
            for key in ("messages", "conversations")
            if key in keys and not {"rejected_response"} & names
        )
        raise UserError(
            f"{source.path}: its first record is a preference ({_and(names)}), and `method: sft` learns from"
            f" conversations; set `method: dpo`{also}."
        )
    if learned == "preference" and keys and not compared(keys):
        rated = [key for key in _RATED if key in keys]
        what = (
            f"is one answer that is marked as good or bad (`{rated[0]}`, as for KTO), not a pair"
            if rated
            else f"is a conversation (its keys are {_and(keys)})"
        )
        raise UserError(
            f"{source.path}: its first record {what}, and `method: dpo` learns from two answers to the same"
            " question, `chosen` and `rejected`; "
            + ("make pairs of the records first." if rated else "set `method: sft`, or name other files.")
        )


def first_keys(source: str, ignore: frozenset[str] = frozenset()) -> set[str]:
    """The keys of the first readable record that hold something; none where no record can be read."""
    try:
        for _, one in zip(range(_LOOKED_AT), raw(source), strict=False):
            value = text.parsed(one).value
            if isinstance(value, dict):
                # A table fills columns with nulls.
                return {key for key, held in value.items() if held is not None} - ignore
    except UserError:
        pass
    return set()


def compared(keys: set[str]) -> set[str]:
    """Those of `keys` that hold answers to compare: two, or one of those that only a preference has."""
    pair = {"chosen", "rejected"}
    single = {"preferred_output", "non_preferred_output", "rejected_response"}
    return (pair if pair <= keys else set()) | (single & keys)


def _and(keys: Any) -> str:
    return ", ".join(f"`{key}`" for key in sorted(keys)[:8])


def _list(names: set[str]) -> str:
    return f"[{', '.join(sorted(names))}]"
