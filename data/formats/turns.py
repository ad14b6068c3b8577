"""Messages as they are made: results find their calls, calls that follow each other are parallel ones."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from data import strict_json
from data.formats.keys import Fields
from data.formats.parts import arguments, call_id


class _Taken(str):
    """Text like no other."""


TAKEN = _Taken()
"""What stands where a system text held the tools and nothing else: no system prompt, not an empty one."""


@dataclass(slots=True)
class Call:
    """A call; its arguments are text or an object, and `id` is None where it has none."""

    name: str
    arguments: Any
    id: str | None = None


class Turns:
    """The messages of a conversation: calls without ids get derived ones, results without one find theirs."""

    def __init__(self, tools: Iterable[Fields] = ()) -> None:
        self.schemas = {tool["function"]["name"]: tool["function"].get("parameters") for tool in tools}
        """The parameters of the tools on offer, by name."""
        self.messages: list[Fields] = []
        self._calls = 0
        self._waiting: list[tuple[str, str]] = []
        """Ids and names of the last message's calls that have no result yet."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def say(self, role: str, content: Any, **more: Any) -> None:
        self.messages.append({"role": role, "content": content, **more})
        self._waiting = []

    def answer(self, content: Any, calls: Iterable[Call], weight: int = 1) -> None:
        """Add an assistant's message of its own."""
        message: Fields = {"role": "assistant", "weight": weight}
        if content is not None:
            message["content"] = content
        self.messages.append(message)
        self._waiting = []
        for call in calls:
            self._add(message, call)

    def call(self, name: str, calls: Iterable[Call], weight: int = 1) -> None:
        """Add calls to the assistant's words or calls right before them; `name` is the turn's."""
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != "assistant":
            self.answer(None, calls, weight)
            return
        if last["weight"] != weight:
            raise ValueError(
                f"{name} and the answer before it are one message, but only one of them is to be learned"
            )
        for call in calls:
            self._add(last, call)

    def _add(self, message: Fields, call: Call) -> None:
        self._calls += 1
        text = arguments(call.arguments)
        identity = call.id or call_id(f"{self._calls} {call.name} {text}")
        message.setdefault("tool_calls", []).append(
            {"id": identity, "function": {"name": call.name, "arguments": text}}
        )
        self._waiting.append((identity, call.name))

    def result(self, name: str, content: Any, identity: str | None = None, tool: str | None = None) -> None:
        """Add a result: of the call `identity`, else of the first that waits, of `tool` if it is named."""
        if identity is None:
            if not self._waiting:
                raise ValueError(f"{name} is a result, but no call waits for one")
            found = [one for one in self._waiting if tool in (None, one[1])]
            if not found:
                names = ", ".join(repr(one) for _, one in self._waiting)
                raise ValueError(f"{name} is a result of {tool!r:.80}, but {names[:200]} waits for one")
            identity = found[0][0]
        self.messages.append({"role": "tool", "content": content, "tool_call_id": identity})
        self._waiting = [one for one in self._waiting if one[0] != identity]

    def results(self, name: str, content: Any) -> None:
        """Add the results that one turn holds: a JSON list of as many as wait, or else one result."""
        parts = _members(content) if len(self._waiting) > 1 else None
        if parts is None or len(parts) != len(self._waiting):
            self.result(name, content)
            return
        for part in parts:
            self.result(name, part if isinstance(part, str) else json.dumps(part, ensure_ascii=False))


def _members(content: Any) -> list[Any] | None:
    """The members of a JSON list that stands as text."""
    if not isinstance(content, str) or not content.lstrip().startswith("["):
        return None
    try:
        value = strict_json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, list) else None
