"""One record that was made up, and what it means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bench.fuzz_data.marks import Mint
from bench.fuzz_data.talk import Slot, Tool

Reader = Literal["chat", "preference"]


@dataclass(frozen=True)
class Case:
    """`record` may hold `AsText`s. Of a valid record, `slots` is what must be read of it, in order."""

    record: dict[str, Any]
    slots: list[Slot]
    reader: Reader = "chat"
    named: str | None = None
    """The format's name, for records that a recipe has to name it for."""
    supported: bool = True
    """Whether refusing the valid record is a fault: README names the format."""
    spoiled: str = ""
    """The key for which nothing of it may be learned: it says that the answer is bad, or about pictures."""


Format = Callable[[Mint], Case]


def definition(tool: Tool) -> dict[str, Any]:
    """A tool as OpenAI defines it."""
    return {"type": "function", "function": bare(tool)}


def bare(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
