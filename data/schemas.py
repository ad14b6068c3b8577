"""JSON schemas of tools: are they schemas, and do a call's arguments keep to them?

Strangers' schemas are only judged, and the verdict is all that is kept of them: a compiled schema may be
thousands of times its text. Those of data sets are compiled for many calls each.
"""

import hashlib
import marshal
from collections import OrderedDict
from typing import Any, Generic, NoReturn, TypeVar

import jsonschema_rs

_Validator = jsonschema_rs.Validator
T = TypeVar("T")

_PATTERNS = jsonschema_rs.FancyRegexOptions(size_limit=2**20, dfa_size_limit=2**18)
"""Bytes of one compiled pattern, and of what is remembered while it is matched."""


class _Kept(Generic[T]):
    """What was found of the schemas that came last: so many, and of so many bytes of them together."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._found: OrderedDict[bytes, tuple[T, int]] = OrderedDict()
        self._most, self._most_bytes, self.bytes = most, most_bytes, 0

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: bytes) -> T | None:
        if key not in self._found:
            return None
        self._found.move_to_end(key)
        return self._found[key][0]

    def put(self, key: bytes, found: T, size: int) -> T:
        if key not in self._found:
            self._found[key] = found, size
            self.bytes += size
        while len(self._found) > self._most or self.bytes > self._most_bytes:
            self.bytes -= self._found.popitem(last=False)[1][1]
        return found


_verdicts: _Kept[str] = _Kept(most=4096, most_bytes=2**20)
_validators: _Kept["_Validator | str"] = _Kept(most=1024, most_bytes=2**23)


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Why `schema` cannot be used, as the rest of a sentence; None when it can."""
    try:
        # Version 2 writes no back-references, so equal schemas have equal bytes; it is the fastest key.
        text = marshal.dumps(schema, 2)
    except ValueError:
        return "are not JSON"
    key = hashlib.sha256(text).digest()
    if (problem := _verdicts.get(key)) is None:
        compiled = _compiled(schema)
        problem = compiled if isinstance(compiled, str) else ""
        _verdicts.put(key, problem, len(key) + len(problem))
    return problem or None


def argument_problem(schema: dict[str, Any], arguments: Any) -> str | None:
    """How `arguments`, or any other JSON value, break `schema`; None when they keep to it.

    Nothing of the arguments' values is repeated: they may be private. A broken schema breaks nothing.
    """
    compiled = _compiled_of(schema) if schema else ""
    if isinstance(compiled, str) or compiled.is_valid(arguments):
        return None
    broken = next(compiled.iter_errors(arguments))
    if broken.schema_path and broken.schema_path[-1] == "required":
        return f"break the schema: {broken.message}"
    place = ".".join(map(str, broken.instance_path)) or "the top"
    rule = next((str(part) for part in reversed(broken.schema_path) if isinstance(part, str)), "its type")
    return f"break the schema at {place} (rule `{rule}`)"


def _compiled_of(schema: dict[str, Any]) -> "_Validator | str":
    try:
        key = marshal.dumps(schema, 2)
    except ValueError:
        return "are not JSON"
    return _validators.get(key) or _validators.put(key, _compiled(schema), len(key))


def _compiled(schema: dict[str, Any]) -> "_Validator | str":
    try:
        compiled = jsonschema_rs.validator_for(schema, retriever=_offline, pattern_options=_PATTERNS)
        # Draft 4 takes `exclusiveMinimum: true`, which no grammar and no encoder of today does.
        if not isinstance(compiled, jsonschema_rs.Draft4Validator):
            return compiled
    except ValueError:
        pass
    try:
        # Many tools are written for drafts that the newest one refuses, such as `items` as a list.
        return jsonschema_rs.Draft7Validator(schema, retriever=_offline, pattern_options=_PATTERNS)
    except ValueError as error:
        place = ".".join(map(str, getattr(error, "instance_path", ())))
        reason = str(error).splitlines()[0][:200]
        return f"are no JSON schema ({place[:200]}: {reason})" if place else f"are no JSON schema ({reason})"


def _offline(uri: str) -> NoReturn:
    raise ValueError(f"{uri} would have to be fetched")
