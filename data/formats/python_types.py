"""Types as Python writes them, `str`, `List[int]`, `dict`, where a JSON schema has its own names."""

import re
from collections.abc import Callable
from typing import Any

_TYPES = {
    "str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number",
    "number": "number", "bool": "boolean", "boolean": "boolean", "list": "array", "array": "array",
    "tuple": "array", "set": "array", "dict": "object", "object": "object",
}  # fmt: skip
_GENERIC = re.compile(r"(\w+)\[(.*)\]")
_NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties"})


def schema_of(written: str) -> dict[str, Any]:
    """A Python type as a schema. Types that JSON has no name for allow any value."""
    written = written.strip()
    generic = _GENERIC.fullmatch(written)
    name = _TYPES.get((generic[1] if generic else written).lower())
    if name is None:
        return {}
    inner = schema_of(generic[2]) if generic and name == "array" else {}
    return {"type": name, "items": inner} if inner else {"type": name}


def nameless(written: str) -> bool:
    """Whether a type is one that JSON has no name for, and says more than that any value goes."""
    return not schema_of(written) and written.strip().lower() != "any"


def renamed(schema: Any, left_out: Callable[[], None], names: bool = False) -> Any:
    """A schema whose types are Python's, with JSON's; `names` says that its keys are those of arguments.

    `left_out` is told of types that JSON has no name for.
    """
    if isinstance(schema, list):
        return [renamed(one, left_out) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and not names and isinstance(value, str) and value != "null":
            found |= schema_of(value)
            if nameless(value):
                left_out()
        elif key in ("enum", "const", "default", "examples") and not names:
            found[key] = value
        else:
            found[key] = renamed(value, left_out, not names and key in _NAMES)
    return found
