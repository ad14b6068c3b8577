"""What leaves the server for a chat: the engine's answer, saying what was asked for and what served it."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from serve.engine.protocol import served_name
from serve.registry.records import Version

CALL_PREFIX = "chatcmpl-tool-"
"""How a call's id begins at the hosted endpoint. Of an id that comes back, Mistral's format keeps the end."""

_CALL = '"type":"function"'
_THOUGHT = '"reasoning":"'


class Label:
    """Says in an answer what was asked for and what served it."""

    def __init__(self, asked: str, version: Version | None, base_name: str) -> None:
        self._asked = asked
        self._adapter = None
        self.headers: dict[str, str] = {}
        served = base_name
        if version:
            served = served_name(version)
            self._adapter = {"name": version.name, "version": version.number, "digest": version.digest}
            self.headers = {
                "x-adapter": version.name,
                "x-adapter-version": str(version.number),
                "x-adapter-digest": version.digest,
            }
        self._engines = f'"model":{json.dumps(served)}'
        self._ours = f'"model":{json.dumps(asked)},"adapter":{json.dumps(self._adapter)}'

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        choices = [{**one, "message": _hosted(one["message"])} for one in answer["choices"]]
        return {**answer, "choices": choices, "model": self._asked, "adapter": self._adapter}

    async def events(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """The same events. Generated text cannot hold the engine's `"model":`, since JSON escapes its
        quotes, so the chunk need not be parsed and written again for every token."""
        async for event in events:
            event = event.replace(self._engines, self._ours, 1)
            # The few that begin a call, or that hold thoughts, are.
            yield _hosted_event(event) if _CALL in event or _THOUGHT in event else event


def _hosted(message: dict[str, Any]) -> dict[str, Any]:
    """The engine's message with what a hosted endpoint's clients look for: each field there, if only null."""
    calls = [_named(call) for call in message.get("tool_calls") or ()]
    return {**message, "reasoning_content": message.get("reasoning"), "tool_calls": calls}


def _named(call: dict[str, Any]) -> dict[str, Any]:
    identity = call.get("id")
    if identity is None or identity.startswith(CALL_PREFIX):
        return call
    return {**call, "id": CALL_PREFIX + identity}


def _hosted_event(event: str) -> str:
    """The same for a chunk, whose deltas leave out what they do not change."""
    chunk = json.loads(event.removeprefix("data: "))
    for choice in chunk["choices"]:
        delta = choice["delta"]
        if "tool_calls" in delta:
            delta["tool_calls"] = [_named(call) for call in delta["tool_calls"]]
        if "reasoning" in delta:
            delta["reasoning_content"] = delta["reasoning"]
    return f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n"
