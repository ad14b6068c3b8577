"""Schemas of older drafts and of serializers that write nulls: jsonschema's own drafts say what they mean."""

import itertools
from typing import Any

import jsonschema
import pytest

from data.drafts import modern

NUMBERS = [-1, 0, 0.5, 1, 5, 9.99, 10, 11]


@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 0, "exclusiveMinimum": True},
        {"minimum": 0, "exclusiveMinimum": False},
        {"maximum": 10, "exclusiveMaximum": True},
        {"minimum": 0, "exclusiveMinimum": True, "maximum": 10, "exclusiveMaximum": False},
        {"minimum": 0.5, "exclusiveMinimum": True, "maximum": 10, "exclusiveMaximum": True},
    ],
)
@pytest.mark.parametrize("nest", ["properties", "items", "anyOf", "$defs", "additionalProperties"])
def test_bounds_of_draft_4_mean_what_draft_4_says(bounds: dict[str, Any], nest: str) -> None:
    inner = {"type": "number", **bounds}
    schema: dict[str, Any] = {
        "properties": {"properties": {"a": inner}},
        "items": {"properties": {"a": {"items": inner}}},
        "anyOf": {"properties": {"a": {"anyOf": [{"type": "string"}, inner]}}},
        "$defs": {"$defs": {"n": inner}, "properties": {"a": {"$ref": "#/$defs/n"}}},
        "additionalProperties": {"additionalProperties": inner},
    }[nest]
    now = modern(schema)
    jsonschema.Draft202012Validator.check_schema(now)
    for number in NUMBERS:
        value = {"a": [number] if nest == "items" else number}
        old = jsonschema.Draft4Validator(schema).is_valid(value)
        assert jsonschema.Draft202012Validator(now).is_valid(value) is old, number


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-04/schema#", "draft-07", None])
@pytest.mark.parametrize("rest", [{}, {"additionalItems": False}, {"additionalItems": {"type": "null"}}])
def test_lists_of_draft_7_mean_what_draft_7_says(rest: dict[str, Any], draft: str | None) -> None:
    pair = {"items": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}], **rest}
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": pair}}
    now = modern(old | ({"$schema": draft} if draft else {}))
    assert "$schema" not in now
    for value in ([], ["x"], ["x", 1], ["x", 0], [1], ["x", 1, None], ["x", 1, "y"]):
        valid = jsonschema.Draft7Validator(old).is_valid({"a": value})
        assert jsonschema.Draft202012Validator(now).is_valid({"a": value}) is valid, value


def test_nulls_that_say_nothing_are_left_out() -> None:
    padded = {
        "type": "object",
        "title": None,
        "required": None,
        "properties": {
            "city": {"type": "string", "enum": None, "items": None, "default": None},
            "sku": None,
            "units": {"type": None, "anyOf": [{"type": "string", "format": None}, {"type": "null"}]},
        },
        "additionalProperties": None,
    }
    assert modern(padded) == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "default": None},
            "units": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"const": None},
        {"enum": [None, 1]},
        {"default": None},
        {"type": None},
        {"type": "integer", "exclusiveMinimum": 0},
        {"properties": {"exclusiveMinimum": {"type": "boolean"}, "minimum": {"type": "integer"}}},
        {"examples": [{"a": None}], "enum": [{"exclusiveMinimum": True}]},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": {"type": "string"}},
        {"prefixItems": [True, {"type": "string"}], "items": False},
        {},
    ],
)
def test_what_means_something_is_the_same_object(schema: dict[str, Any]) -> None:
    assert modern(schema) is schema


def test_a_bound_without_a_number_bounds_nothing() -> None:
    for exclusive, bound in itertools.product((True, False), (None, "5", True)):
        schema = {"type": "integer", "exclusiveMinimum": exclusive, "minimum": bound}
        assert "exclusiveMinimum" not in modern(schema)
