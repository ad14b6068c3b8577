"""The schemas of a chat request: answers are held to them while generated, so they must be some, and small.

The engine turns them into grammars, in time that grows with what is bounded here; everything else about a
request waits meanwhile.
"""

from collections.abc import Iterator
from typing import Any

from data.drafts import modern
from data.errors import shown
from data.schemas import schema_problem
from serve.engine.lengths import unheld
from serve.errors import ApiError
from serve.routes.patterns import size, too_large
from serve.routes.references import expanded, run_in_circles

MAX_DEPTH = 32
"""Objects and lists in each other; OpenAI's own limit is 10 objects."""

UNHELD = "x-schema-unheld"
"""Header of answers: which bounds of the request's schemas were left to the model."""

MAX_VALUES = 8192
"""Members of objects and lists, over all schemas of a request, but for what only the model reads."""

MAX_PROPERTIES = 512
"""Of one object: xgrammar's time goes with their square."""

MAX_EXPANDED = 2**15
"""Values of one schema whose references are written out: 30 that each name another twice are a billion."""

MAX_CHARACTERS = 2**17
"""Of their keys and strings, over all schemas of a request."""

MAX_DESCRIPTIONS = 2**19
"""Characters of descriptions and the like, which no grammar holds: catalogs of tools are made of them."""

MAX_PATTERNS = 256
MAX_PATTERNS_EXPANDED = 2**13
"""Characters and classes of all patterns of a request, as `patterns.size` counts them."""

MAX_SCHEMA_INTEGER = 2**53
"""Beyond it, grammars overflow."""

MAX_COUNT = 10_000
"""The most that a schema may ask for: llguidance allocates eight bytes for each of `minItems`."""

MAX_CHOICES = 2**12
"""An object's properties times how many of them there may be: xgrammar makes a rule for each pair."""

MAX_PAIRS = 2**19
"""The same times an object's properties again, over all schemas of a request: a second or two to compile."""

_COUNTS = (
    "minItems",
    "maxItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "minLength",
)
_AT_LEAST = ("minItems", "minLength")
"""Counts that a grammar writes out, so that they add up."""

_DESCRIBE = ("$comment", "$schema", "default", "description", "example", "examples", "title")
"""Members that say something to the model alone, where they hold no object: one may be a property's name."""

_NAMED = ("$defs", "definitions", "patternProperties", "properties")
"""Members whose own members are names."""

_PATTERN_KEYS = ("pattern", "patternProperties")


def check_schemas(body: dict[str, Any]) -> None:
    """Refuse schemas, of tools or of the answer, that are none, or that are too much; as OpenAI does.

    Those of older drafts are put in today's terms, which are what the engine knows.

    Raises:
        ApiError: `invalid_tool_schema` or `invalid_response_schema`; names the schema and what is wrong.
    """
    left = _Budget()
    for what, param, code, holder, key in _schemas(body):
        problem = left.problem(holder[key])
        if problem is None:
            holder[key] = modern(holder[key])
            problem = schema_problem(_bare(holder[key]))
        if problem:
            raise ApiError(f"The {what} {problem}; correct the schema.", code=code, param=param)


def unheld_lengths(body: dict[str, Any]) -> str | None:
    """Which bounds of its schemas are left to the model, for the header UNHELD; None where all are held."""
    found = [(param, holder[key]) for _, param, _, holder, key in _schemas(body)]
    calls = {param: schema for param, schema in found if param.startswith("tools")}
    said = (unheld(one) for one in (calls, dict(found[len(calls) :])))
    return ", ".join(one for one in said if one) or None


def _schemas(body: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any], str]]:
    """What each is, where it stands, the error's code, and the object and member that hold the schema."""
    for number, tool in enumerate(body.get("tools") or ()):
        function = tool["function"]
        if function.get("parameters"):
            what = f"parameters of tool {shown(function['name'])!r}"
            yield what, f"tools[{number}].function.parameters", "invalid_tool_schema", function, "parameters"
    answer = body.get("response_format") or {}
    if answer.get("type") == "json_schema":
        holder = answer.get("json_schema") or {}
        if holder.get("schema") is None:
            raise ApiError(
                "response_format has no schema; send it as json_schema.schema.",
                code="invalid_response_schema",
                param="response_format.json_schema.schema",
            )
        what, param = "constraints in response_format", "response_format.json_schema.schema"
        yield what, param, "invalid_response_schema", holder, "schema"


def _bare(node: Any, named: bool = False) -> Any:
    """A schema without its descriptions: what is remembered of it then is no longer than what bounds it."""
    if isinstance(node, list):
        return [_bare(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _bare(value, not named and key in _NAMED)
        for key, value in node.items()
        if named or key not in _DESCRIBE or not isinstance(value, str)
    }


class _Budget:
    """What all schemas of one request may hold together."""

    def __init__(self) -> None:
        self._values = self._characters = self._described = 0
        self._patterns = self._expanded = self._at_least = self._pairs = 0

    def problem(self, schema: dict[str, Any]) -> str | None:
        """Why the schema is too much, as the rest of a sentence; walks level by level, and not too far."""
        level: list[Any] = [schema]
        for _ in range(MAX_DEPTH):
            below: list[Any] = []
            for node in level:
                if problem := self._of_object(node):
                    return problem
                members = list(node.items()) if isinstance(node, dict) else [(None, one) for one in node]
                for key, value in members:
                    if key in _DESCRIBE and not isinstance(value, dict):
                        if problem := self._described_too_much(value):
                            return problem
                        continue
                    if problem := self._too_much(key, value):
                        return problem
                    if isinstance(value, dict | list):
                        below.append(value)
            if not below:
                return self._of_references(schema)
            level = below
        return f"are nested in more than {MAX_DEPTH} levels"

    def _of_object(self, node: Any) -> str | None:
        if not isinstance(node, dict) or not isinstance(properties := node.get("properties"), dict):
            return None
        if len(properties) > MAX_PROPERTIES:
            return f"have an object of {len(properties)} properties, where at most {MAX_PROPERTIES} go"
        counts = [node.get(key) for key in ("minProperties", "maxProperties")]
        most = max((count for count in counts if isinstance(count, int | float)), default=0)
        if most * len(properties) > MAX_CHOICES:
            return (
                f"have an object of {len(properties)} properties and a count of {most}, which are to be "
                f"{MAX_CHOICES} at most when multiplied"
            )
        self._pairs += int(len(properties) ** 2 * max(most, 1))
        if self._pairs > MAX_PAIRS:
            return (
                f"bring the request's objects to more than {MAX_PAIRS} properties when those of each are "
                "squared, and multiplied by its counts"
            )
        return None

    def _described_too_much(self, value: Any) -> str | None:
        self._described += len(value) if isinstance(value, str) else len(str(value))
        if self._described > MAX_DESCRIPTIONS:
            return f"bring the request to more than {MAX_DESCRIPTIONS} characters of descriptions"
        return None

    def _of_references(self, schema: dict[str, Any]) -> str | None:
        if run_in_circles(schema):
            return "hold references that only refer"
        if expanded(schema, MAX_EXPANDED) >= MAX_EXPANDED:
            return f"become more than {MAX_EXPANDED} values where references are what they point to"
        return None

    def _too_much(self, key: str | None, value: Any) -> str | None:
        self._values += 1
        self._characters += len(key or "") + (len(value) if isinstance(value, str) else 0)
        if self._values > MAX_VALUES:
            return f"bring the request to more than {MAX_VALUES} values in schemas"
        if self._characters > MAX_CHARACTERS:
            return f"bring the request to more than {MAX_CHARACTERS} characters in schemas"
        if isinstance(value, int) and abs(value) > MAX_SCHEMA_INTEGER:
            return f"hold the number {shown(str(value), 30)}, beyond {MAX_SCHEMA_INTEGER}"
        if key in _COUNTS and isinstance(value, int | float) and value > MAX_COUNT:
            return f"have {key} {value}, where at most {MAX_COUNT} goes"
        if key in _AT_LEAST and isinstance(value, int | float):
            self._at_least += max(int(value), 0)
            if self._at_least > MAX_COUNT:
                return f"bring the request to more than {MAX_COUNT} in {' and '.join(_AT_LEAST)} together"
        for pattern in _patterns(key, value):
            self._patterns += 1
            if self._patterns > MAX_PATTERNS:
                return f"bring the request to more than {MAX_PATTERNS} patterns"
            if problem := too_large(pattern):
                return f"have a pattern {problem}"
            self._expanded += size(pattern)
            if self._expanded > MAX_PATTERNS_EXPANDED:
                return (
                    f"bring the request's patterns to more than {MAX_PATTERNS_EXPANDED} characters together"
                )
        return None


def _patterns(key: str | None, value: Any) -> list[str]:
    """The regular expressions that a member holds; a property may be called `pattern` and hold none."""
    if key not in _PATTERN_KEYS:
        return []
    if isinstance(value, dict):
        return list(value) if key == "patternProperties" else []
    return [value] if isinstance(value, str) else []
