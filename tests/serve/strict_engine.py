"""An engine without a model that obeys the protocol, and raises at what a correct lifecycle never does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from serve.engine import protocol
from serve.engine.protocol import Answer
from serve.errors import ApiError
from serve.registry.records import Version


class StrictEngine:
    """Holds at most `slots` versions, each under the engine's name for it.

    An answer is made of what is in the slot at each token, so a slot that is empty, or filled anew, shows.
    What it raised is in `abuses` too, since a lifecycle takes an engine that raises for one that is broken.
    """

    base_name = "base"
    trouble = None
    identity = "strict 1"
    sequences = 4000

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.filled: dict[str, str] = {}
        """What was loaded, by the name that it was loaded under."""
        self.chatting: Counter[str] = Counter()
        self.loads: list[str] = []
        self.removals: list[str] = []
        self.abuses: list[str] = []
        self.busy = False
        self.broken: set[str] = set()
        self.stuck: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.last_words: Callable[[], object] = lambda: None

    @property
    def held(self) -> set[str]:
        return set(self.filled.values())

    def require(self, right: bool, otherwise: str) -> None:
        if not right:
            self.abuses.append(otherwise)
            raise AssertionError(otherwise)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def add(self, version: Version) -> None:
        async with _Alone(self):
            name = protocol.served_name(version)
            self.require(name not in self.filled, "loaded twice")
            self.require(len(self.filled) < self.slots, "more versions than slots")
            if self.gate:
                await self.gate.wait()
            await asyncio.sleep(0)
            self.loads.append(version.reference)
            if version.reference in self.broken:
                raise ApiError("no such tensor")
            self.filled[name] = version.reference
            self.last_words()

    async def remove(self, version: Version) -> None:
        async with _Alone(self):
            name = protocol.served_name(version)
            self.require(not self.chatting[name], "removed while a request used it")
            await asyncio.sleep(0)
            self.removals.append(version.reference)
            if version.reference in self.stuck:
                raise RuntimeError("it is still there")
            self.require(not self.chatting[name], "a request came in while it was removed")
            del self.filled[name]

    async def likeliest(
        self, token_ids: list[int], places: list[int], version: Version | None
    ) -> list[list[tuple[int, float]]]:
        return [[(0, 0.0)] for _ in places]

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        assert version is not None
        name = protocol.served_name(version)
        if body.get("stream"):
            return self._stream(name, body["tokens"])
        return {"said": [token async for token in self._stream(name, body["tokens"])]}

    async def _stream(self, name: str, tokens: int) -> AsyncIterator[str]:
        self.chatting[name] += 1
        try:
            for _ in range(tokens):
                self.require(name in self.filled, "the version left while it was answering")
                yield self.filled[name]
                await asyncio.sleep(0)
        finally:
            self.chatting[name] -= 1


class _Alone:
    """Loads and removals one at a time."""

    def __init__(self, engine: StrictEngine) -> None:
        self._engine = engine

    async def __aenter__(self) -> None:
        self._engine.require(not self._engine.busy, "two loads at a time")
        self._engine.busy = True

    async def __aexit__(self, *_: object) -> None:
        self._engine.busy = False
