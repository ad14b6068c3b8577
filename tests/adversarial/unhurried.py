"""A server whose answers take a moment, so that it can be killed between their words; it is always noon."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from serve.engine.protocol import Answer
from serve.registry.budgets import DAY
from serve.registry.records import Version
from tests.serve import tiny
from tests.serve.talking import TalkingEngine
from tests.serve.tiny import Base, TinyServer

CONTEXT = 50
NOON = 20_000.5 * DAY
"""In Unix time: no limit begins anew while it is looked at."""

MOMENT = 0.002


class Unhurried(TalkingEngine):
    """What `TalkingEngine` says, with a moment before each event and each whole answer."""

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        await asyncio.sleep(MOMENT)
        return await super().chat(body, version)

    async def _noted(self, events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        async for event in super()._noted(events):
            await asyncio.sleep(MOMENT)
            yield event


def make_server(folder: Path, base: Base, *disks: str | None) -> TinyServer:
    """The real app over that engine."""
    made = tiny.make_server(folder, base, *disks, max_model_len=CONTEXT)
    made.app.state.engine = Unhurried(base.manifest.name)
    for kept in (made.registry.storage.budgets, made.registry.storage.usage):
        kept._clock = lambda: NOON
    return made
