"""What the rest of the server asks of an engine; tests obey the same protocol."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from serve.registry.records import Version

Answer = dict[str, Any] | AsyncIterator[str]
"""A whole completion, or its server-sent events, each with its `data: ` and blank line."""


def served_name(version: Version) -> str:
    """The engine's name for a version. It holds the digest, so that no cache can mix two versions."""
    return f"{version.name}@{version.digest}"


class Engine(Protocol):
    """One base model with room for `slots` adapters at a time."""

    slots: int
    base_name: str
    identity: str
    """What a parity verdict holds for: the engine's version and arithmetic."""

    async def start(self) -> None:
        """Ready to chat on return."""

    async def close(self) -> None:
        """No process left on return."""

    @property
    def healthy(self) -> bool: ...

    async def add(self, version: Version) -> None:
        """Load a version into a free slot; ApiError when the engine refuses it."""

    async def remove(self, version: Version) -> None:
        """Give the slot back; on return the engine has confirmed it."""

    async def likeliest(
        self, token_ids: list[int], places: list[int], version: Version | None
    ) -> list[list[tuple[int, float]]]:
        """For each of `places`: the likeliest tokens there, given those before it, with their log
        probabilities, the likeliest first; by a loaded version, or by the base."""

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        """Answer a Chat Completions body by a loaded version, or by the base.

        The answer's `model` is `served_name(version)` or the base's name. Cancelling the call, or closing
        the iterator, stops the generation. ApiError for what the engine finds wrong with the body.
        """
