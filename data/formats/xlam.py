"""xLAM and APIGen: one `query`, the `tools` on offer, and the calls that are its `answers`."""

import re
from typing import Any

from data.formats.parts import Fields, Turns, from_text, labels, objects, texts, tool, without_nulls

_TYPES = {
    "str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number",
    "number": "number", "bool": "boolean", "boolean": "boolean", "list": "array", "array": "array",
    "tuple": "array", "set": "array", "dict": "object", "object": "object",
}  # fmt: skip
_GENERIC = re.compile(r"(\w+)\[(.*)\]")


def xlam(record: Fields) -> Fields:
    """One question, and one assistant message with all calls; the fields are lists, or JSON text of them."""
    made = Turns()
    (query,) = texts(record, "query")
    made.say("user", query)
    answers = _list(record, "answers")
    if not answers:
        raise ValueError("`answers` is empty, so there is nothing to learn from it")
    for number, answer in enumerate(answers, 1):
        made.call(f"answer {number} is a call", answer, f"{query} {answer}")
    offered = [tool(_definition(one)) for one in _list(record, "tools")]
    return labels(record) | {"messages": made.messages, "tools": offered}


def _list(record: Fields, name: str) -> list[Fields]:
    value = record.get(name) or []
    if isinstance(value, str):
        value = from_text(value, f"`{name}`")
    return objects({name: value}, name)


def _definition(given: Fields) -> Fields:
    """xLAM lists a tool's parameters by name; what holds a JSON schema already stays as it is."""
    parameters = given.get("parameters")
    if not isinstance(parameters, dict) or isinstance(parameters.get("properties"), dict) or not parameters:
        return without_nulls(given)
    return without_nulls(given) | {"parameters": _schema(parameters)}


def _schema(parameters: Fields) -> Fields:
    """`{"city": {"type": "str, optional", "description": ..., "default": ...}}` as a JSON schema.

    A parameter is required unless its type says `optional` or it has a default.
    """
    properties, required = {}, []
    for name, parameter in parameters.items():
        if not isinstance(parameter, dict):
            raise ValueError(f"the parameter {name!r} of a tool is not an object")
        written = parameter.get("type") or "Any"
        if not isinstance(written, str):
            raise ValueError(f"the type of the parameter {name!r} is not text")
        bare = re.sub(r",?\s*optional\b", "", written, flags=re.IGNORECASE)
        properties[name] = _type(bare) | without_nulls({k: v for k, v in parameter.items() if k != "type"})
        if bare == written and parameter.get("default") is None:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _type(written: str) -> dict[str, Any]:
    """A Python type as a schema. Types that JSON has no name for allow any value."""
    written = written.strip()
    generic = _GENERIC.fullmatch(written)
    name = _TYPES.get((generic[1] if generic else written).lower())
    if name is None:
        return {}
    inner = _type(generic[2]) if generic and name == "array" else {}
    return {"type": name, "items": inner} if inner else {"type": name}
