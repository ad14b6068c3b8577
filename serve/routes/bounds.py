"""A chat request's fields against the table of `fields.py`; the first that is out of bounds is said."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from data.errors import shown
from serve.errors import ApiError
from serve.routes.fields import FIELDS, REFUSED

_VALIDATOR = jsonschema_rs.Draft202012Validator(
    {"type": "object", "properties": {name: field.schema for name, field in FIELDS.items()}}
)
_KINDS = {str: "string", list: "list", dict: "object", bool: "boolean", type(None): "null"}


def check_bounds(body: Mapping[str, Any]) -> None:
    """Refuse a field that is not in the table, or a value that its entry does not allow.

    Raises:
        ApiError: `unknown_field`, or `invalid_request` with the place as `param`.
    """
    if unknown := sorted(body.keys() - FIELDS.keys()):
        name = shown(unknown[0])
        why = f": {REFUSED[name]}" if name in REFUSED else ""
        raise ApiError(
            f"This server does not take the field {name!r}{why}; remove it.",
            code="unknown_field",
            param=name,
        )
    if "messages" not in body:
        raise ApiError("The request has no messages; send the conversation in messages.", param="messages")
    broken = next(_VALIDATOR.iter_errors(body), None)
    if broken:
        path, place = list(broken.schema_path), _place(list(broken.instance_path))
        rule = "propertyNames" if "propertyNames" in path else str(path[-1])
        raise ApiError(f"{place} {_sentence(rule, _limit(path), broken.instance)}", param=place)


def _limit(path: list[Any]) -> Any:
    """What the table says where a rule of it was broken; the path begins at `properties`."""
    value: Any = FIELDS[path[1]].schema
    for part in path[2:]:
        value = value[part]
    return value


def _place(path: list[Any]) -> str:
    """`messages[0].content`, as OpenAI's errors name it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown(text.removeprefix("."))


def _sentence(rule: str, limit: Any, given: Any) -> str:
    match rule:
        case "maximum":
            return f"is {_shown(given)}; send at most {limit}."
        case "minimum":
            return f"is {_shown(given)}; send at least {limit}."
        case "exclusiveMinimum":
            return f"is {_shown(given)}; send more than {limit}."
        case "maxLength":
            return f"has {len(given)} characters; send at most {limit}."
        case "maxItems" | "maxProperties":
            return f"has {len(given)} entries; send at most {limit}."
        case "minItems":
            return f"has {len(given)} entries; send at least {limit}."
        case "required":
            lacking = next(name for name in limit if name not in given)
            return f"has no {lacking}; send it with {' and '.join(limit)}."
        case "enum":
            allowed = ", ".join(str(value) for value in limit if value is not None)
            return f"is {_shown(given)}; send one of {allowed}."
        case "propertyNames":
            return f"has a key that does not fit {limit}; change it."
        case "pattern":
            return f"is {_shown(given)}, and must fit {limit}; change it."
    kinds = [limit] if isinstance(limit, str) else limit
    return f"is a JSON {_kind(given)}; send a value of type {' or '.join(kinds)}."


def _kind(given: Any) -> str:
    return _KINDS.get(type(given), "number")


def _shown(given: Any) -> str:
    """A value as an error may repeat it: short, and on one line."""
    if isinstance(given, str):
        return repr(shown(given, 40))
    return shown(str(given), 40) if not isinstance(given, list | dict) else f"a JSON {_kind(given)}"
