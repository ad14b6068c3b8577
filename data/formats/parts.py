"""Pieces that several formats share: texts, lists of objects, tool definitions, a call's arguments."""

import ast
import hashlib
import json
from typing import Any

from data import strict_json
from data.formats.keys import Fields, Reader
from data.formats.marks import BAD_WORDS
from data.formats.padding import unpadded_schemas
from data.formats.problems import RefusalError
from data.formats.values import kind_of

_OTHER_PARAMETERS = ("input_schema", "inputSchema")
"""What Anthropic and MCP call a tool's `parameters`."""


def call_id(origin: str) -> str:
    """Nine letters or digits, the only form that Mistral's format takes, derived and so always the same."""
    return hashlib.sha256(origin.encode()).hexdigest()[:9]


def arguments(value: Any) -> str:
    """A call's arguments as JSON text, whether they come as text or as an object.

    Nothing, `""` and `"null"` are those of a call without arguments, as vLLM reads them; text of text that
    holds an object was encoded twice.
    """
    if isinstance(value, str):
        bare = value.strip()
        if bare in ("", "null"):
            return "{}"
        return _decoded_once_more(value) if bare.startswith('"') else value
    if value is None:
        return "{}"
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        raise ValueError("its arguments hold a value that JSON has no form for") from None


def _decoded_once_more(value: str) -> str:
    try:
        inner = strict_json.loads(value)
        return inner if isinstance(strict_json.loads(inner), dict) else value
    except ValueError:
        return value


def call_of(reader: Reader) -> tuple[str, Any]:
    """The name and the arguments of `{"name": ..., "arguments": ...}`; some write `parameters` instead."""
    name = reader.take("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{reader.name} has no `name`")
    given = reader.take("arguments")
    return name, reader.take("parameters") if given is None else given


def without_id(reader: Reader) -> None:
    """Count the `id` of a call in a format whose results answer in order; ValueError where it is no call."""
    kind = reader.take("type")
    if kind not in (None, "function"):
        raise ValueError(f"{reader.name} is of the type {kind!r:.40}, but only functions can be called")
    if reader.take("id") is not None:
        reader.unused("id")


def tools(root: Reader, key: str = "tools") -> list[Fields]:
    """Tool definitions as a list or as JSON text; bare functions get OpenAI's `type` around them."""
    return definitions(root, key, root.take(key))


def definitions(root: Reader, key: str, value: Any) -> list[Fields]:
    """The tool definitions that stood under `key`."""
    made = []
    for number, one in enumerate(objects(value, f"`{key}`"), 1):
        reader = root.inside(f"{key}[]", one, "tool", f"tool {number}")
        kind, function = reader.take("type"), reader.take("function")
        if kind not in (None, "function"):
            raise ValueError(f"tool {number} is of the type {kind!r:.40}, but only functions are known")
        if function is None:
            made.append(reader)
        elif isinstance(function, dict):
            made.append(reader.inside("function", function, "tool", f"tool {number}"))
        else:
            raise ValueError(f"the `function` of tool {number} is {kind_of(function)}, not an object")
    found = [_definition(reader) for reader in made]
    schemas = unpadded_schemas([one.get("parameters") for one in found])
    for function, schema in zip(found, schemas, strict=True):
        if schema is not None:
            function["parameters"] = schema
    return [{"type": "function", "function": function} for function in found]


def agreed(described: list[Fields], beside: list[Fields]) -> list[Fields]:
    """The tools that a system text describes, which others beside it may only repeat; or else these."""
    if not described or not beside:
        return described or beside
    names = [sorted(tool["function"]["name"] for tool in some) for some in (described, beside)]
    if names[0] != names[1]:
        raise ValueError("its `tools` are others than those that its system text offers")
    return described


def _definition(reader: Reader) -> Fields:
    found: Fields = {}
    for key in ("name", "description", "parameters", "strict"):
        if (value := reader.take(key)) is not None:
            found[key] = value
    for key in _OTHER_PARAMETERS:
        if "parameters" not in found and (value := reader.take(key)) is not None:
            found["parameters"] = value
    if not isinstance(found.get("name"), str) or not found["name"]:
        raise ValueError(f"{reader.name} has no `name`")
    if isinstance(parameters := found.get("parameters"), str):
        found["parameters"] = from_text(parameters.strip() or "{}", f"the `parameters` of {reader.name}")
    if not isinstance(found.get("parameters", {}), dict):
        raise ValueError(
            f"the `parameters` of {reader.name} are {kind_of(found['parameters'])}, not an object"
        )
    return found


def from_text(value: str, name: str) -> Any:
    """JSON that a record holds as text; ValueError when it is not JSON."""
    try:
        return strict_json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is text, but not JSON ({error.msg})") from None
    except strict_json.RefusedError as error:
        raise ValueError(f"{name} is not JSON that every reader takes ({error})") from None


def literal(value: str) -> Any:
    """JSON, or the Python literal that some data sets print instead; ValueError when it is neither."""
    try:
        return strict_json.loads(value)
    except json.JSONDecodeError as error:
        try:
            found = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError(f"not JSON ({error.msg})") from None
        # Only what JSON can hold: no sets, bytes or infinities, and the types that JSON gives back.
        try:
            return strict_json.loads(json.dumps(found, allow_nan=False))
        except (TypeError, ValueError):
            raise ValueError("not JSON (it holds values that JSON cannot)") from None


def text(root: Reader, key: str) -> str:
    """The field `key`, which must be text."""
    value = root.take(key)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` is not text but {kind_of(value)}")
    return value


def labels(root: Reader) -> Fields:
    """What any format may say of a conversation as a whole: `id`, `group` and `category`."""
    found: Fields = {}
    for name in ("id", "group", "category"):
        value = root.take(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"`{name}` is {kind_of(value)}, not text")
        found[name] = str(value)
    if found.get("category", "").strip().lower() in BAD_WORDS:
        raise RefusalError(
            f"its `category` {found['category']!r} marks the answer as one that is not to be given;"
            " leave such records out with data.on_error: skip"
        )
    return found


def objects(value: Any, name: str) -> list[Fields]:
    """A list of objects, or JSON text of one; `name` is what messages call it. Null is an empty list."""
    if isinstance(value, str):
        value = from_text(value.strip() or "[]", name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list of objects but {kind_of(value)}")
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict):
            raise ValueError(f"{name} is not a list of objects: its item {number} is {kind_of(item)}")
    return value
