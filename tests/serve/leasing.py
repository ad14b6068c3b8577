"""Versions to bring in, and requests for them: what the lifecycle's tests share."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from data import digest
from data.manifest import ADAPTER_FILES, adapter_digest
from serve.engine.protocol import Engine
from serve.lifecycle import Lifecycle
from serve.registry.records import Version

Make = Callable[[str], Version]


def maker(folder: Path) -> Make:
    """Makes the version 1 of an adapter of that name, with files below `folder`."""

    def version(name: str) -> Version:
        own = folder / name
        own.mkdir(exist_ok=True)
        for file in ADAPTER_FILES:
            (own / file).write_text(f"{name} {file}")
        files = {file: digest.of_file(own / file) for file in ADAPTER_FILES}
        return Version(name, 1, adapter_digest(files), 8, "sha256:base", own, datetime.now(UTC))

    return version


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, 60)

    asyncio.run(bounded())


async def ask(engine: Engine, lifecycle: Lifecycle, version: Version, tokens: int = 3) -> None:
    async with lifecycle.lease(version):
        assert await engine.chat({"tokens": tokens}, version) == {"said": [version.reference] * tokens}


async def settle() -> None:
    """Let every task run until it waits, the verifying thread included."""
    for _ in range(20):
        await asyncio.sleep(0.005)
