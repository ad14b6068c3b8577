"""What the rest of the server asks of an engine; tests obey the same protocol."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from serve.errors import ApiError
from serve.registry.records import Version

Answer = dict[str, Any] | AsyncIterator[str]
"""A whole completion, or its server-sent events, each with its `data: ` and blank line."""


def served_name(version: Version) -> str:
    """The engine's name for a version. It holds the digest, so that no cache can mix two versions."""
    return f"{version.name}@{version.digest}"


class EngineUnavailable(ApiError):  # noqa: N818 - named for what was found, as callers say it
    """Nothing is wrong with the request or its adapter: there is no engine to answer it now."""

    def __init__(self, message: str, code: str, retry_after: int | None = None) -> None:
        """`retry_after` is in seconds."""
        headers = {"retry-after": str(retry_after)} if retry_after else None
        super().__init__(message, status=503, code=code, type="server_error", headers=headers)


class EngineDied(EngineUnavailable):
    """The engine died under a call; what it held is gone with it."""

    def __init__(self) -> None:
        super().__init__("The engine died under this request; send it again.", code="engine_died")


class NoNumbers(ApiError):  # noqa: N818
    """The engine computed no numbers (NaN or infinity) for a request, and said nothing of what came of it.

    `blamed` is the version whose fault that is, if it is one's.
    """

    def __init__(self, message: str, code: str, blamed: Version | None = None) -> None:
        super().__init__(
            message, status=500, code=code, param="model" if blamed else None, type="server_error"
        )
        self.blamed = blamed

    @classmethod
    def by_version(cls, version: Version) -> "NoNumbers":
        return cls(
            f"With adapter {version.reference} the engine computes no numbers (NaN or infinity) for this "
            "request, where the base does; the version is not served any more, so ask for another one.",
            "adapter_unsound",
            version,
        )

    @classmethod
    def by_base(cls) -> "NoNumbers":
        return cls(
            "The base itself computes no numbers (NaN or infinity) for this request in the engine's "
            "precision; send another prompt.",
            "base_unsound",
        )

    @classmethod
    def by_chance(cls) -> "NoNumbers":
        return cls(
            "The engine computed no numbers (NaN or infinity) for this request, and some when it was asked "
            "again; send it again.",
            "engine_error",
        )


class Engine(Protocol):
    """One base model with room for `slots` adapters and `sequences` answers at a time; more of them wait.

    `add` and `chat`, and the iterator of `chat`, raise EngineDied where the engine dies under them.
    """

    slots: int
    sequences: int
    base_name: str

    @property
    def identity(self) -> str:
        """What a parity verdict holds for: the engine's version and arithmetic."""

    async def start(self) -> None:
        """Ready to chat on return."""

    async def close(self) -> None:
        """No process left on return."""

    @property
    def trouble(self) -> EngineUnavailable | None:
        """Why it cannot answer now; None while it can."""

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
        the iterator, stops the generation. ApiError for what the engine finds wrong with the body, and
        NoNumbers where it computed none, which ends the answer before their token.
        """
