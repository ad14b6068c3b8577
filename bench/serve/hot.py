"""Adapters loaded while other streams run: how long one takes, and how long the others wait."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.serve.load import Measured, load, tokens_of
from bench.serve.servers import Target

STREAMS = 2
"""Of the base, running all the while."""
NORMAL_SECONDS = 3


@dataclass
class Loads:
    """`first`: seconds from the commit of a push, whose files are there, to the first token of the adapter.
    `others`: the running streams meanwhile, and `normal` before."""

    first: list[float] = field(default_factory=list)
    normal: Measured = field(default_factory=Measured)
    others: Measured = field(default_factory=Measured)


async def hot_load(target: Target, folders: Sequence[Path], prefix: str, found: Loads) -> None:
    """Load each of the adapters as `prefix` and a number, one after another, and ask it for one token."""
    async with target.client() as client, target.client() as others:
        found.normal.add(await load(others, [target.base], STREAMS, NORMAL_SECONDS))
        over = asyncio.Event()
        running = asyncio.create_task(_streams(others, target.base, over, found.others))
        try:
            for number, folder in enumerate(folders):
                found.first.append(await _one(client, target, f"{prefix}-{number}", folder))
        finally:
            over.set()
            await running


async def _one(client: httpx.AsyncClient, target: Target, name: str, folder: Path) -> float:
    upload = await target.send(client, name, folder)
    began = time.perf_counter()
    await target.load(client, name, folder, upload)
    async with aclosing(tokens_of(client, name, "Hello?", 1)) as arriving:
        async for now, _ in arriving:
            took = now - began
    await target.forget(client, name)
    return took


async def _streams(client: httpx.AsyncClient, base: str, over: asyncio.Event, found: Measured) -> None:
    while not over.is_set():
        found.add(await load(client, [base], STREAMS, 1))
