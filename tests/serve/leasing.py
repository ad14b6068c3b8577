"""Versions to bring in, and requests for them: what the lifecycle's tests share."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data import digest
from data.manifest import ADAPTER_FILES, adapter_digest
from serve.engine.protocol import Engine
from serve.lifecycle import Lifecycle
from serve.registry.records import Version
from tests import virtual_time

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


def run(work: Coroutine[Any, Any, None]) -> None:
    """In virtual time: a minute passes at once where nobody can go on any more, and fails the test."""
    virtual_time.run(asyncio.wait_for(work, 60))


async def ask(engine: Engine, lifecycle: Lifecycle, version: Version, tokens: int = 3) -> None:
    async with lifecycle.lease(version):
        assert await engine.chat({"tokens": tokens}, version) == {"said": [version.reference] * tokens}


async def settle() -> None:
    """Let every task run until it waits, the verifying thread included: the clock goes on no sooner."""
    await asyncio.sleep(0.001)
