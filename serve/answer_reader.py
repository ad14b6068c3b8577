"""What an answer holds, whole or in pieces: its tokens, how its choices ended, calls that cannot be read."""

import json
from collections import defaultdict
from typing import Any

RAW_CALLS = ("<tool_call>", "[TOOL_CALLS]")
"""How the parsed formats (Hermes, Mistral) open a call; seen in content, the call was not recognised."""


class AnswerReader:
    """Reads one answer of the engine. Text is kept only where tools were offered, to look for calls in it."""

    def __init__(self, tools: bool) -> None:
        self._tools = tools
        self._content: defaultdict[int, list[str]] = defaultdict(list)
        self._arguments: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        self._pieces = 0
        self._usage: dict[str, Any] | None = None
        self.finishes: list[str] = []
        """Why each choice ended, as far as they have."""

    @property
    def told(self) -> bool:
        """Whether the engine has said how many tokens there were."""
        return self._usage is not None

    @property
    def prompt_tokens(self) -> int:
        """0 where a stream was cut before the engine had said it."""
        return int(self._usage["prompt_tokens"]) if self._usage else 0

    @property
    def completion_tokens(self) -> int:
        """At least as many as there were pieces, where a stream was cut."""
        return int(self._usage["completion_tokens"]) if self._usage else self._pieces

    def whole(self, answer: dict[str, Any]) -> None:
        """Read a chat completion."""
        self._usage = answer.get("usage")
        for choice in answer["choices"]:
            self._choice(choice, choice["message"])

    def chunk(self, chunk: dict[str, Any]) -> list[int]:
        """Read a streamed chunk; the choices to which it brings something to read."""
        self._usage = chunk.get("usage") or self._usage
        grown = [
            choice["index"] for choice in chunk["choices"] if self._choice(choice, choice.get("delta", {}))
        ]
        self._pieces += len(grown)
        return grown

    def broken_calls(self) -> list[str]:
        """What is wrong with calls, a word for each: `arguments` that are no JSON object, `raw_text`."""
        broken = ["arguments" for parts in self._arguments.values() if not _is_object("".join(parts))]
        for parts in self._content.values():
            text = "".join(parts)
            broken += ["raw_text"] * any(mark in text for mark in RAW_CALLS)
        return broken

    def _choice(self, choice: dict[str, Any], said: dict[str, Any]) -> bool:
        if reason := choice.get("finish_reason"):
            self.finishes.append(reason)
        if self._tools:
            index = choice["index"]
            self._content[index].append(said.get("content") or "")
            for position, call in enumerate(said.get("tool_calls") or ()):
                arguments = call.get("function", {}).get("arguments")
                self._arguments[index, call.get("index", position)].append(arguments or "")
        get = said.get  # for every token: four questions cost less than a loop over them
        return bool(get("content") or get("tool_calls") or get("reasoning") or get("reasoning_content"))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
