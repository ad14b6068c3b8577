"""Who is let in to a version, or to the base: so many at a time, and a bounded queue before the door.

Of the keys that wait, the one that would have least inside comes first, and by turns where that is alike. In
a full queue the last of the key that waits for most makes way for a key that waits for less.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from data.errors import UserError
from serve.errors import ApiError
from serve.settings import Settings

LEAST_QUEUE = 8
"""Requests of one key that may wait, as far as there is a queue for them."""


@dataclass(frozen=True)
class Bounds:
    """For each version, and for the base: requests in flight, requests that wait, for how many seconds."""

    inflight: int = Settings.max_inflight
    queue: int = Settings.max_queue
    seconds: float = Settings.queue_seconds

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(settings.max_inflight, settings.max_queue, settings.queue_seconds)

    @property
    def kept(self) -> int:
        """Places for a key's only answer: one that asks for little need not wait for one of minutes."""
        return self.inflight // 4

    @property
    def queue_of_key(self) -> int:
        return min(self.queue, max(LEAST_QUEUE, self.queue // 4))


@dataclass(eq=False)
class Turn:
    """A request of `key` that waits for so many `places`; a `patient` one counts for no bound."""

    key: str
    places: int
    patient: bool
    let_in: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Admission:
    """A door that is open or closed; who has to wait is let in by turns of their keys."""

    def __init__(
        self,
        kind: Literal["adapter", "base", "engine"],
        name: str,
        bounds: Bounds,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called whenever somebody leaves."""
        self._kind, self._name = kind, name
        self._bounds = bounds
        self._changed = changed
        self._open = False
        self._lines: dict[str, deque[Turn]] = {}
        """Who waits, by key, none of them empty; the key whose turn was longest ago first."""
        self._held: Counter[str] = Counter()
        self.inside = 0
        """Places that are taken."""

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    @property
    def keys_waiting(self) -> list[str]:
        return list(self._lines)

    def open(self) -> None:
        """Let in those who wait, in this very step: nothing can come between the door and them."""
        self._open = True
        self._let_in()

    def close(self) -> None:
        """Those inside stay until they leave."""
        self._open = False

    def refuse(self, error: UserError) -> None:
        """Send everybody away who waits."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            for turn in line:
                turn.let_in.set_exception(error)

    @asynccontextmanager
    async def entered(self, key: str, places: int, patient: bool = False) -> AsyncIterator[None]:
        """Be inside; see `enter`."""
        places = await self.enter(key, places, patient)
        try:
            yield
        finally:
            self.leave(key, places)

    async def enter(self, key: str = "", places: int = 1, patient: bool = False) -> int:
        """Return inside, with the places taken: as many as were asked for, or as one key may have.

        ApiError past a bound, unless one is `patient`, or what `refuse` says.
        """
        turn = Turn(key, min(places, self._bounds.inflight - self._bounds.kept), patient)
        self._lines.setdefault(key, deque()).append(turn)
        self._let_in()
        if not (turn.let_in.done() or patient):
            self._keep_bounds(turn)
        try:
            if not turn.let_in.done():
                # It leaves the turn as it is when the time is up, or when the one who waits is cancelled.
                await asyncio.wait((turn.let_in,), timeout=None if patient else self._bounds.seconds)
        except asyncio.CancelledError:
            self._withdraw(turn)
            raise
        if not turn.let_in.done():
            self._withdraw(turn)
            raise self._too_long()
        turn.let_in.result()
        return turn.places

    def leave(self, key: str = "", places: int = 1) -> None:
        self.inside -= places
        self._held[key] -= places
        if not self._held[key]:
            del self._held[key]
        self._let_in()
        self._changed()

    def _let_in(self) -> None:
        while self._open and self._lines:
            turn = min((line[0] for line in self._lines.values()), key=self._after)
            if not self._fits(turn):
                return  # who would have more than it waits too, or much would never come in
            self._forget(turn)
            if turn.key in self._lines:
                self._lines[turn.key] = self._lines.pop(turn.key)  # it had its turn
            self.inside += turn.places
            self._held[turn.key] += turn.places
            turn.let_in.set_result(None)

    def _after(self, turn: Turn) -> int:
        """Places that its key has once it is let in."""
        return self._held[turn.key] + turn.places

    def _fits(self, turn: Turn) -> bool:
        kept = 0 if self._after(turn) == 1 else self._bounds.kept
        return self.inside + turn.places <= self._bounds.inflight - kept

    def _keep_bounds(self, turn: Turn) -> None:
        """Send somebody away where one more has come to wait than may."""
        own, waiting = self._lines[turn.key], self.waiting
        if waiting > self._bounds.queue:
            longest = max(self._lines.values(), key=len)
            if len(longest) > len(own) and not longest[-1].patient:
                self._send_away(longest[-1], self._key_busy(longest[-1].key, len(longest) - 1))
            else:
                self._send_away(turn, self._busy(waiting - 1))
        elif len(own) > self._bounds.queue_of_key:
            self._send_away(turn, self._key_busy(turn.key, len(own) - 1))

    def _send_away(self, turn: Turn, error: ApiError) -> None:
        self._forget(turn)
        turn.let_in.set_exception(error)

    def _forget(self, turn: Turn) -> None:
        line = self._lines[turn.key]
        line.remove(turn)
        if not line:
            del self._lines[turn.key]

    def _withdraw(self, turn: Turn) -> None:
        """Its owner goes away: from the queue, or from inside if it was let in and has not woken up since."""
        if not turn.let_in.done():
            self._forget(turn)
            self._let_in()  # it may have been too large for what is free
        elif turn.let_in.exception() is None:
            self.leave(turn.key, turn.places)

    def _key_busy(self, key: str, waiting: int) -> ApiError:
        return ApiError(
            f"{self._name} has {waiting} more requests of the key {key!r} waiting, of "
            f"{self._bounds.queue_of_key} that may, and fewer while other keys want to wait; have some "
            "answered before you ask for more.",
            status=429,
            code="key_busy",
            type="rate_limit_error",
        )

    def _busy(self, waiting: int) -> ApiError:
        return ApiError(
            f"{self._name} has {self.inside} requests in flight and {waiting} waiting, of "
            f"{self._bounds.queue} that may; try again in a moment, or start the server with a higher "
            "--max-queue.",
            status=429,
            code=f"{self._kind}_busy",
            type="rate_limit_error",
        )

    def _too_long(self) -> ApiError:
        return ApiError(
            f"{self._name} let this request wait for {self._bounds.seconds:g} s, as long as this server lets "
            "any; try again in a moment.",
            status=503,
            code=f"{self._kind}_wait",
            type="server_error",
        )
