"""Nulls that a table put where another record has a value: in the schemas of tools and in arguments of calls.

A table has one column for every key that any record has, and so gives each tool the keys of all others, as
nulls. A JSON schema has nulls only as values to compare with or to start from, which tells padding apart. An
argument is padding where its tool's schema does not know it, or does not let it be null. Of an optional one
that may be null nothing can be told, and leaving it out says the same; it is left out, and counted. So is a
null in an object of which no schema speaks.
"""

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]

_VALUES = frozenset({"default", "const", "example", "examples", "enum"})
"""Keywords whose nulls are values."""

_NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
"""Keywords whose keys are names."""


def unpadded_schemas(schemas: list[Any]) -> list[Any]:
    """The schemas of a record's tools, without nulls where any of them holds one that is no value."""
    return [_without(schema) for schema in schemas] if any(map(_padded, schemas)) else schemas


def _padded(value: Any, names: bool = False) -> bool:
    """Whether a null stands where only a schema may; `names` says that the keys are those of arguments."""
    if isinstance(value, dict):
        for key, item in value.items():
            if item is None or isinstance(item, dict | list):
                if not names and key in _VALUES:
                    continue
                if item is None or _padded(item, not names and key in _NAMES):
                    return True
        return False
    return isinstance(value, list) and any(_padded(item) for item in value if isinstance(item, dict | list))


def _without(value: Any, names: bool = False) -> Any:
    if isinstance(value, dict):
        nullable = not names and _may_be_null(value)
        return {
            key: item if key in _VALUES and not names else _without(item, not names and key in _NAMES)
            for key, item in value.items()
            if item is not None or (nullable and key in ("default", "const"))
        }
    return [_without(item) for item in value] if isinstance(value, list) else value


def holds_null(value: Any) -> bool:
    """Whether a null stands anywhere in a value."""
    if isinstance(value, dict):
        return any(map(holds_null, value.values()))
    return value is None or (isinstance(value, list) and any(map(holds_null, value)))


def unpadded_arguments(given: Fields, schema: Any, left_out: Callable[[str], None]) -> Fields:
    """A call's arguments without padding; `left_out` is told those that may have been meant as null."""
    if not isinstance(schema, dict) or not _known(schema):
        return _free(given, left_out)
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    kept: Fields = {}
    for key, value in given.items():
        inner = properties.get(key) if isinstance(properties, dict) else None
        if value is None:
            if inner is None or not isinstance(inner, dict) or not _may_be_null(inner):
                if inner is not None and key in required:
                    kept[key] = None  # the rules say that the schema forbids it
                continue
            if key in required:
                kept[key] = None
            else:
                left_out(key)
        elif isinstance(value, dict):
            kept[key] = unpadded_arguments(value, inner, _below(key, left_out))
        elif isinstance(value, list) and isinstance(inner, dict):
            kept[key] = [
                unpadded_arguments(item, inner.get("items"), _below(key, left_out))
                if isinstance(item, dict)
                else item
                for item in value
            ]
        else:
            kept[key] = value
    return kept


def _free(given: Fields, left_out: Callable[[str], None]) -> Fields:
    """An object of which no schema speaks, without its nulls: nothing tells meant ones from a table's."""
    kept: Fields = {}
    for key, value in given.items():
        if value is None:
            left_out(key)
        elif isinstance(value, dict):
            kept[key] = _free(value, _below(key, left_out))
        elif isinstance(value, list):
            kept[key] = [
                _free(item, _below(key, left_out)) if isinstance(item, dict) else item for item in value
            ]
        else:
            kept[key] = value
    return kept


def _below(key: str, left_out: Callable[[str], None]) -> Callable[[str], None]:
    return lambda inner: left_out(f"{key}.{inner}")


def _known(schema: Fields) -> bool:
    """Whether a schema lists the properties of its objects, and no more may stand there than it lists."""
    return isinstance(schema.get("properties"), dict) and not schema.get("additionalProperties")


def _may_be_null(schema: Fields) -> bool:
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind) or schema.get("nullable") is True:
        return True
    if isinstance(choices := schema.get("enum"), list):
        return None in choices
    for keyword in ("anyOf", "oneOf"):
        if isinstance(members := schema.get(keyword), list):
            return any(isinstance(member, dict) and _may_be_null(member) for member in members)
    return kind is None and not any(key in schema for key in ("properties", "items", "$ref", "allOf", "enum"))
