"""A chat request's fields against the table of `fields.py`; the first that is out of bounds is said."""

from itertools import islice
from typing import Any

import jsonschema_rs

from data.errors import shown
from serve.errors import ApiError
from serve.routes.fields import ANY, FIELDS
from serve.routes.members import place, read_members

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: field.schema for name, field in FIELDS.items()},
}
_VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
_KINDS = {str: "string", list: "list", dict: "object", bool: "boolean", type(None): "null"}

MAX_ERRORS = 16
"""Of those that a request may have, those that are looked at for the one to say."""

_LEFT_TO_IT = "or leave it out: an answer may be as long as the context has room"
INSTEAD: dict[tuple[str, str], str] = {
    ("max_tokens", "minimum"): _LEFT_TO_IT,
    ("max_completion_tokens", "minimum"): _LEFT_TO_IT,
    ("logprobs", "type"): "as top_logprobs, with logprobs true",
    ("tool_choice.type", "enum"): "or one of the words none, auto and required instead of an object",
    ("tools.type", "enum"): "since this server runs no tools of its own",
    ("messages.role", "enum"): "and results of calls as role tool",
    ("messages.content.type", "enum"): "since this model reads text alone",
    ("messages.tool_calls.function.arguments", "type"): "with the arguments' JSON in it",
    ("temperature", "maximum"): "or top_k, top_p and min_p for other ways to sample",
}
"""What an error adds for a place, without its numbers, where a rule was broken."""

_RESULT = "which is role tool here, with the call's tool_call_id"

INSTEAD_OF: dict[str, dict[str, str]] = {
    "messages.role": {
        "human": "which is role user here",
        "ai": "which is role assistant here",
        "model": "which is role assistant here",
        "function": _RESULT,
        "ipython": _RESULT,
    },
    "messages.content.type": {
        "input_text": "which is type text here",
        "output_text": "which is type text here",
        "tool_use": "which is one of the message's tool_calls here",
        "tool-call": "which is one of the message's tool_calls here",
        "tool_result": "which is a message of role tool here",
        "tool-result": "which is a message of role tool here",
    },
}
"""The same for well-known values of a place that takes only some."""


def check_bounds(body: dict[str, Any]) -> dict[str, Any]:
    """Return the request without its nulls and without what asks for nothing.

    Raises:
        ApiError: `unknown_field`, or `invalid_request` with the place as `param`.
    """
    body = read_members(body, SCHEMA)
    if "messages" not in body:
        raise ApiError("The request has no messages; send the conversation in messages.", param="messages")
    if broken := _worst(list(islice(_VALIDATOR.iter_errors(body), MAX_ERRORS))):
        path, where = list(broken.schema_path), tuple(broken.instance_path)
        rule = "propertyNames" if "propertyNames" in path else str(path[-1])
        told = _sentence(rule, _limit(path), broken.instance)
        names = ".".join(str(part) for part in where if not isinstance(part, int))
        if more := _instead(names, rule, broken.instance):
            told = f"{told.removesuffix('.')}, {more}."
        raise ApiError(f"{place(where)} {told}", param=place(where))
    if body.get("tool_choice") == ANY:
        body["tool_choice"] = "required"
    return body


def _instead(place: str, rule: str, given: Any) -> str | None:
    known = INSTEAD_OF.get(place, {}).get(given) if isinstance(given, str) else None
    return known or INSTEAD.get((place, rule))


def _worst(errors: list[jsonschema_rs.ValidationError]) -> jsonschema_rs.ValidationError | None:
    """The first, but that an object of a `type` that is not known lacks nothing."""
    if not errors:
        return None
    kind = [*errors[0].instance_path, "type"]
    return next((one for one in errors if list(one.instance_path) == kind), errors[0])


def _limit(path: list[Any]) -> Any:
    """What the table says where a rule of it was broken; the path begins at `properties`."""
    value: Any = FIELDS[path[1]].schema
    for part in path[2:]:
        value = value[part]
    return value


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
            return f"has no {lacking}; send {' and '.join(limit)}."
        case "enum":
            allowed = ", ".join(str(value) for value in limit if value is not None)
            return f"is {_shown(given)}; send one of {allowed}."
        case "propertyNames":
            return f"has a key that does not fit {limit}; change it."
        case "pattern":
            return f"is {_shown(given)}, and must fit {limit}; change it."
    kinds = [limit] if isinstance(limit, str) else [kind for kind in limit if kind != "null"]
    return f"is a JSON {_kind(given)}; send a value of type {' or '.join(kinds)}."


def _kind(given: Any) -> str:
    return _KINDS.get(type(given), "number")


def _shown(given: Any) -> str:
    """A value as an error may repeat it: short, and on one line."""
    if isinstance(given, str):
        return repr(shown(given, 40))
    return shown(str(given), 40) if not isinstance(given, list | dict) else f"a JSON {_kind(given)}"
