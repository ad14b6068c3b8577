"""An engine without a model that dies by script."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from serve.engine.protocol import Answer, EngineDied, served_name
from serve.errors import ApiError
from serve.registry.records import Version
from tests.serve.tiny import TinyEngine

SAID = ["data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"]


class Mortal(TinyEngine):
    """What `script` says happens to one chat after the other; what no engine may be asked for fails."""

    def __init__(self, script: str = "") -> None:
        super().__init__("tiny-awq", slots=2)
        self.script = deque(script.split())
        self.asked = 0
        self.stopped = 0
        self.started = asyncio.Event()
        self.started.set()
        self.startless = False
        self.closed = False

    async def start(self) -> None:
        await self.started.wait()
        if self.startless:
            raise RuntimeError("no memory")

    async def close(self) -> None:
        self.closed = True

    def die(self) -> EngineDied:
        self.trouble = EngineDied()
        return self.trouble

    async def add(self, version: Version) -> None:
        assert self.trouble is None, "asked a dead engine"
        await super().add(version)

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        assert self.trouble is None, "asked a dead engine"
        assert version is None or served_name(version) in self.held, "asked for an adapter it does not hold"
        self.asked += 1
        match self.script.popleft() if self.script else "answer":
            case "die":
                raise self.die()
            case "hang":
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0)
                    self.stopped += 1
            case "answer":
                return await super().chat(body, version)
            case what:
                return self._said(what)

    async def _said(self, what: str) -> AsyncIterator[str]:
        if what == "die-first":
            raise self.die()
        yield SAID[0]
        match what:
            case "die-later":
                raise self.die()
            case "break":
                raise ZeroDivisionError
            case "refuse":
                raise ApiError("too long", code="too_long", param="messages")
        if what != "bare":
            yield SAID[2]
