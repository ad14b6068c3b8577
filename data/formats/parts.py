"""Pieces that several formats share: messages, tool definitions, calls and their results."""

import ast
import hashlib
import json
from typing import Any

from data import strict_json

Fields = dict[str, Any]


def call_id(origin: str) -> str:
    """Nine letters or digits, the only form that Mistral's format takes, derived and so always the same."""
    return hashlib.sha256(origin.encode()).hexdigest()[:9]


class Turns:
    """The messages of a conversation whose origin knows no call ids: results answer calls in order.

    Calls that follow each other are one message's parallel calls.
    """

    def __init__(self) -> None:
        self.messages: list[Fields] = []
        self._calls = 0
        self._waiting: list[str] = []

    def say(self, role: str, content: str, **more: Any) -> None:
        self.messages.append({"role": role, "content": content, **more})

    def call(self, turn: str, value: Any, origin: str) -> None:
        """Add the call `{"name": ..., "arguments": ...}`; `origin` is its text, from which its id comes."""
        if not isinstance(value, dict) or "name" not in value:
            raise ValueError(f"{turn} without a `name`")
        self._calls += 1
        if not (self.messages and self.messages[-1]["role"] == "assistant"):
            self.messages.append({"role": "assistant"})
            self._waiting = []
        elif "tool_calls" not in self.messages[-1]:
            self._waiting = []
        new_id = call_id(f"{self._calls} {origin}")
        function = {"name": value["name"], "arguments": arguments(value.get("arguments"))}
        self.messages[-1].setdefault("tool_calls", []).append({"id": new_id, "function": function})
        self._waiting.append(new_id)

    def answer(self, turn: str, content: str) -> None:
        """Add the result of the first call that waits for one."""
        if not self._waiting:
            raise ValueError(f"{turn}, but no function_call waits for one")
        self.messages.append({"role": "tool", "content": content, "tool_call_id": self._waiting.pop(0)})


def arguments(value: Any) -> str:
    """A call's arguments as JSON text, whether they come as text or as an object."""
    if isinstance(value, str):
        return value
    return json.dumps({} if value is None else value, ensure_ascii=False)


def tools(value: Any) -> list[Fields]:
    """Tool definitions as a list or as JSON text; bare functions get OpenAI's `type` around them."""
    if isinstance(value, str):
        value = from_text(value.strip() or "[]", "`tools`")
    return [tool(one) for one in objects({"tools": value or []}, "tools")]


def tool(value: Fields) -> Fields:
    kept = without_nulls(value)
    return kept if "function" in kept else {"type": "function", "function": kept}


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
        except (ValueError, SyntaxError, TypeError, MemoryError):
            raise ValueError(f"not JSON ({error.msg})") from None
        # Only what JSON can hold: no sets, bytes or infinities, and the types that JSON gives back.
        try:
            return strict_json.loads(json.dumps(found, allow_nan=False))
        except (TypeError, ValueError):
            raise ValueError("not JSON (it holds values that JSON cannot)") from None


def texts(record: Fields, *names: str) -> list[str]:
    """The named fields, each of which must be text."""
    for name in names:
        if not isinstance(record.get(name), str):
            raise ValueError(f"`{name}` is not text but a {type(record.get(name)).__name__}")
    return [record[name] for name in names]


def labels(record: Fields) -> Fields:
    """What any format may say of a conversation as a whole: `id`, `group` and `category`."""
    found = {name: record[name] for name in ("id", "group", "category") if record.get(name) is not None}
    return {
        name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in found.items()
    }


def objects(record: Fields, key: str) -> list[Fields]:
    value = record.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"`{key}` is not a list of objects")
    return value


def without_nulls(value: Fields) -> Fields:
    return {key: item for key, item in value.items() if item is not None}
