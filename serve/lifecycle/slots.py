"""The engine's slots: what holds one, and how one becomes free."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from contextlib import suppress

from data.errors import UserError
from serve.engine.protocol import Engine
from serve.errors import ApiError
from serve.lifecycle.entry import Backoff, Entry, State

PATIENCE = 1.0
"""Seconds for which one version is drained alone: it may have an answer of minutes to finish, while others in
steady use would soon be free. Then one more is drained with it, and so on."""


class NoRoom(ApiError):  # noqa: N818 - named for what was found, as callers say it
    """Every slot is taken by what may not leave it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=503, code="no_free_slot", param="model", type="server_error")


class Slots:
    """Puts entries in and out of the engine; called by one task at a time."""

    def __init__(
        self, engine: Engine, entries: Mapping[str, Entry], clock: "itertools.count[int]", backoff: Backoff
    ) -> None:
        self._engine = engine
        self._entries = entries
        self._clock = clock
        self._backoff = backoff

    @property
    def held(self) -> list[Entry]:
        return [one for one in self._entries.values() if one.held]

    @property
    def free(self) -> bool:
        return len(self.held) < self._engine.slots

    async def put_in(self, entry: Entry) -> None:
        """Into a free slot; what the engine raises otherwise."""
        entry.state = State.LOADING
        await self._engine.add(entry.version)
        entry.held, entry.used = True, next(self._clock)

    async def take_out(self, entry: Entry) -> None:
        """A failure is the entry's own misfortune, not that of the one who needs the slot."""
        try:
            await self.remove(entry)
        except UserError as error:
            entry.fail(str(error), self._backoff)

    async def remove(self, entry: Entry) -> None:
        """Out of the engine; UserError, with the slot still taken, where the engine does not confirm it."""
        entry.drain(next(self._clock))
        try:
            await self._engine.remove(entry.version)
        except Exception as error:
            raise UserError(f"the engine did not let go of it: {error}") from error
        entry.out()

    async def make_room(self, news: asyncio.Event) -> None:
        """Free a slot where all are taken: the one idle for longest, else the least recently used one.

        A busy one is drained, so that an adapter in steady use cannot keep another out for ever. Those
        drained whose slot is not needed after all let requests in again. `news` is set whenever somebody
        gave a lease back. NoRoom where no slot can become free.
        """
        drained: list[Entry] = []
        try:
            await self._wait_for_room(news, drained)
        finally:
            for one in drained:
                if one.state is State.DRAINING and one.left is None:
                    one.admit()

    async def _wait_for_room(self, news: asyncio.Event, drained: list[Entry]) -> None:
        drain_at = 0.0
        while not self.free:
            news.clear()
            movable = [one for one in self.held if _movable(one)]
            if idle := [one for one in movable if one.idle]:
                await self.take_out(min(idle, key=lambda one: one.used))
                continue
            if not movable:
                raise NoRoom(self._why_full())
            if time.monotonic() >= drain_at:
                drain_at = time.monotonic() + PATIENCE
                if open_ones := [one for one in movable if one.state is State.READY]:
                    drained.append(min(open_ones, key=lambda one: one.used))
                    drained[-1].drain(next(self._clock))
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), PATIENCE)

    def _why_full(self) -> str:
        pinned = sum(one.kept for one in self.held)
        if pinned == self._engine.slots:
            return (
                f"all {pinned} slots hold pinned versions; unpin one with `serve pin --off`, or start the "
                "server with a higher --max-loras."
            )
        return (
            f"of {self._engine.slots} slots {pinned} hold pinned versions, and the engine does not let go of "
            "what the others hold; try again in a moment."
        )


def _movable(entry: Entry) -> bool:
    """Whether its slot may be had."""
    return not entry.left_alone and (not entry.kept or entry.left is not None)
