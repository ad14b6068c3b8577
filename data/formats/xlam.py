"""xLAM and APIGen: one `query`, the `tools` on offer, and the calls that are its `answers`."""

import re

from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.parts import labels, objects, text, tools, without_id
from data.formats.python_types import nameless, schema_of
from data.formats.turns import Turns
from data.formats.values import kind_of


def xlam(root: Reader) -> Fields:
    """One question, and one assistant message with all calls; the fields are lists, or JSON text of them."""
    kept = labels(root)
    offered = tools(root)
    for tool in offered:
        _rewrite(root, tool["function"])
    made = Turns(offered)
    messages.system(root, made, [])
    made.say("user", text(root, "query"))
    table = None if isinstance(root.left.get("answers"), str) else made
    answers = objects(root.take("answers"), "`answers`")
    if not answers:
        raise ValueError("`answers` is empty, so there is nothing to learn from it")
    calls = []
    for number, answer in enumerate(answers, 1):
        reader = root.inside("answers[]", answer, "call", f"answer {number}")
        without_id(reader)
        calls.append(messages.call_made(reader, None, table))
    made.answer(None, calls)
    return kept | {"messages": made.messages, "tools": offered}


def _rewrite(root: Reader, function: Fields) -> None:
    """xLAM lists a tool's parameters by name; what holds a JSON schema already stays as it is."""
    parameters = function.get("parameters")
    if parameters and not isinstance(parameters.get("properties"), dict):
        function["parameters"] = _schema(root, parameters)


def _schema(root: Reader, parameters: Fields) -> Fields:
    """`{"city": {"type": "str, optional", "description": ..., "default": ...}}` as a JSON schema.

    A parameter is required unless its type says `optional` or it has a default.
    """
    properties, required = {}, []
    for name, parameter in parameters.items():
        if not isinstance(parameter, dict):
            raise ValueError(f"the parameter {name!r} of a tool is not an object but {kind_of(parameter)}")
        written = "Any" if parameter.get("type") is None else parameter["type"]
        if not isinstance(written, str):
            raise ValueError(f"the type of the parameter {name!r} is not text but {kind_of(written)}")
        bare = re.sub(r",?\s*optional\b", "", written, flags=re.IGNORECASE)
        rest = {key: value for key, value in parameter.items() if key != "type" and value is not None}
        properties[name] = schema_of(bare) | rest
        if nameless(bare):
            root.unused("tools[].parameters.*.type")
        if bare == written and parameter.get("default") is None:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}
