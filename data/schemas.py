"""JSON schemas of tools: are they schemas, and do a call's arguments keep to them? Compiled once each."""

import marshal
from functools import lru_cache
from typing import Any, NoReturn

import jsonschema_rs

_Validator = jsonschema_rs.Validator


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Why `schema` cannot be used, as the rest of a sentence; None when it can."""
    compiled = _compiled_of(schema)
    return compiled if isinstance(compiled, str) else None


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
        # Version 2 writes no back-references, so equal schemas have equal bytes; it is the fastest key.
        return _compiled(marshal.dumps(schema, 2))
    except ValueError:
        return "are not JSON"


@lru_cache(maxsize=8192)
def _compiled(key: bytes) -> "_Validator | str":
    schema = marshal.loads(key)
    try:
        compiled = jsonschema_rs.validator_for(schema, retriever=_offline)
        # Draft 4 takes `exclusiveMinimum: true`, which no grammar and no encoder of today does.
        if not isinstance(compiled, jsonschema_rs.Draft4Validator):
            return compiled
    except ValueError:
        pass
    try:
        # Many tools are written for drafts that the newest one refuses, such as `items` as a list.
        return jsonschema_rs.Draft7Validator(schema, retriever=_offline)
    except ValueError as error:
        place = ".".join(map(str, getattr(error, "instance_path", ())))
        reason = str(error).splitlines()[0][:200]
        return f"are no JSON schema ({place[:200]}: {reason})" if place else f"are no JSON schema ({reason})"


def _offline(uri: str) -> NoReturn:
    raise ValueError(f"{uri} would have to be fetched")
