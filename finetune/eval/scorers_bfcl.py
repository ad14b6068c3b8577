"""Calls by BFCL's possible answers: for each argument a list of values, any of which is right.

The rules are those of the leaderboard's `ast_checker` (bfcl-eval 2026.3.23), written anew for JSON values.
Where that checker trips over itself, this one does not: docs/evaluation-suites.md lists each difference,
and `make bench-bfcl` counts them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_TYPES: dict[str, type] = {
    "string": str,
    "any": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
}
_OPTIONAL = ""
"""Among the possible values: the argument, or the key, may be left out."""


@dataclass(frozen=True)
class Possible:
    """One expected call. `arguments` maps a name to its possible values, in BFCL's nested form."""

    name: str
    arguments: dict[str, list[Any]]
    parameters: dict[str, dict[str, Any]]
    """The function's declared parameters, with BFCL's type names."""
    required: Sequence[str]


def mistake(expected: Sequence[Possible], calls: Sequence[tuple[str, dict[str, Any]]]) -> str | None:
    """What is wrong with the calls, in one phrase; None when each is one of the expected, in any order."""
    if len(calls) != len(expected):
        return f"made {len(calls)} where {len(expected)} {'was' if len(expected) == 1 else 'were'} expected"
    faults = [[_call_mistake(possible, *call) for call in calls] for possible in expected]
    unmatched = _unmatched([[fault is None for fault in row] for row in faults])
    if unmatched is None:
        return None
    # The call of the same name tells most; where none has it, any will do.
    row = faults[unmatched]
    same_name = [fault for fault, call in zip(row, calls, strict=True) if call[0] == expected[unmatched].name]
    return next((fault for fault in [*same_name, *row] if fault), None) or "the calls fit no pairing"


def _unmatched(fits: list[list[bool]]) -> int | None:
    """An expected call that no pairing of calls leaves a partner for; None when all have one (Kuhn 1955)."""
    partner: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in partner or place(partner[column], tried):
                    partner[column] = row
                    return True
        return False

    return next((row for row in range(len(fits)) if not place(row, set())), None)


def _call_mistake(possible: Possible, name: str, arguments: dict[str, Any]) -> str | None:
    if name != possible.name:
        return f"called {name!r} where {possible.name!r} was expected"
    if missing := [wanted for wanted in possible.required if wanted not in arguments]:
        return f"{name!r} lacks its required argument {missing[0]!r}"
    for argument, value in arguments.items():
        if argument not in possible.parameters or argument not in possible.arguments:
            return f"{name!r} was given {argument!r}, which was not expected"
        if not _fits(value, possible.parameters[argument], possible.arguments[argument]):
            return f"argument {argument!r} of {name!r} is another value, or of another type"
    for argument, options in possible.arguments.items():
        if argument not in arguments and _OPTIONAL not in options:
            return f"{name!r} lacks the argument {argument!r}, which the question asks for"
    return None


def _fits(value: Any, parameter: dict[str, Any], options: list[Any]) -> bool:
    """Whether the value is of the right type and one of the options.

    The right type is the declared one, or, since answers may name a variable instead of a value, that of
    the first option; a value of such an argument is compared to the letter.
    """
    declared = _TYPES.get(parameter.get("type", "string"), str)
    natural = _first_type(options)
    if not _is(value, declared):
        return natural is not None and _is(value, natural) and any(_equal(value, one) for one in options)
    if declared is float:
        return any(_equal(value, option) for option in options)
    if declared is list:
        if not value and _OPTIONAL in options:
            # As the leaderboard has it: an empty list says no more than leaving the argument out.
            return True
        items = parameter.get("items", {}).get("type")
        options = [option for option in options if _items_are_typed(value, option, items)]
    if natural not in (None, declared):
        return any(_equal(value, option) for option in options)
    return any(_alike(value, option) for option in options)


def _items_are_typed(value: list[Any], option: Any, declared: str | None) -> bool:
    """Each item of the declared type, or of the option's; checked one level deep."""
    if not isinstance(option, list):
        return False
    allowed = [kind for kind in (_TYPES.get(declared or ""), _first_type(option)) if kind]
    return all(any(_is(item, kind) for kind in allowed) for item in value)


def _first_type(options: Iterable[Any]) -> type | None:
    return next((type(option) for option in options if option != _OPTIONAL), None)


def _is(value: Any, kind: type) -> bool:
    """JSON's types: true is no integer, and a whole number may stand for a float, though not the reverse."""
    return type(value) is kind or (kind is float and type(value) is int)


def _equal(value: Any, option: Any) -> bool:
    """To the letter; true and 1 differ, 1 and 1.0 do not."""
    if isinstance(value, list) and isinstance(option, list):
        return len(value) == len(option) and all(map(_equal, value, option))
    if isinstance(value, dict) and isinstance(option, dict):
        return value.keys() == option.keys() and all(_equal(value[key], option[key]) for key in value)
    return isinstance(value, bool) == isinstance(option, bool) and bool(value == option)


def _alike(value: Any, option: Any) -> bool:
    """As `_equal`, but strings as `_plain` leaves them, and possible values for each key of a dictionary."""
    if isinstance(value, str) and isinstance(option, str):
        return _plain(value) == _plain(option)
    if isinstance(value, list) and isinstance(option, list):
        return len(value) == len(option) and all(map(_alike, value, option))
    if isinstance(value, dict) and isinstance(option, dict):
        # Deeper down some answers stand without a list of possible values around them.
        possible = {key: item if isinstance(item, list) else [item] for key, item in option.items()}
        return all(key in value or _OPTIONAL in values for key, values in possible.items()) and all(
            any(_alike(item, one) for one in possible.get(key, [])) for key, item in value.items()
        )
    return _equal(value, option)


def _plain(text: str) -> str:
    """Without case, spaces and ,./-_*^ and with one kind of quotes: "April 1, 2024" is "april 1 2024"."""
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')
