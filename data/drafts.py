"""JSON schemas of older drafts and other languages in today's terms: the same values are meant."""

from typing import Any

_ONE = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_SEVERAL = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
_VALUES = ("const", "default")
"""Keywords for which null is a value like any other."""

_SAY_THE_TYPE = ("$ref", "allOf", "anyOf", "const", "enum", "not", "oneOf", "properties")
"""Beside one of these, a `type` of null was left empty; alone it may mean the type `null`."""

_BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def modern(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in the terms of draft 2020-12, without keywords that are null; itself where it is so.

    In draft 4 `exclusiveMinimum` is true where the `minimum` itself does not go; since draft 6 it is the
    number. Up to draft 7 `items` may be a list, which is `prefixItems` now. Serializers of other languages
    write each optional keyword, if only as null, and a table pads every object with the names of all others.
    """
    changed = {key: new for key, old in schema.items() if (new := _member(key, old)) is not old}
    left_out = {key for key, value in schema.items() if value is None and key not in _VALUES}
    if "type" in left_out and not any(schema.get(key) is not None for key in _SAY_THE_TYPE):
        left_out.remove("type")
    for exclusive, bound in _BOUNDS:
        if isinstance(schema.get(exclusive), bool):
            left_out.add(exclusive)
            number = schema.get(bound)
            if schema[exclusive] and isinstance(number, int | float) and not isinstance(number, bool):
                left_out = left_out - {exclusive} | {bound}
                changed[exclusive] = number
    now = {key: changed.get(key, value) for key, value in schema.items() if key not in left_out}
    if isinstance(now.get("items"), list):
        changed["prefixItems"] = now["prefixItems"] = now.pop("items")
        if "additionalItems" in now:
            now["items"] = now.pop("additionalItems")
    if not changed and not left_out:
        return schema
    now.pop("$schema", None)  # it would have validators read this by the rules of its draft
    return now


def _member(key: str, value: Any) -> Any:
    """What a keyword holds, with the schemas in it made modern; itself where nothing of it changes."""
    if isinstance(value, dict):
        if key in _ONE:
            return modern(value)
        if key in _NAMED:
            kept = {name: _schema(one) for name, one in value.items() if one is not None}
            same = len(kept) == len(value) and all(kept[name] is value[name] for name in kept)
            return value if same else kept
    if isinstance(value, list) and key in _SEVERAL:
        several = [_schema(one) for one in value]
        return value if all(new is old for new, old in zip(several, value, strict=True)) else several
    return value


def _schema(value: Any) -> Any:
    return modern(value) if isinstance(value, dict) else value
