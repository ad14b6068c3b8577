"""Who is let in to a version, or to the base: so many at a time, and a bounded queue before the door."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from data.errors import UserError
from serve.errors import ApiError
from serve.settings import Settings


@dataclass(frozen=True)
class Bounds:
    """For each version, and for the base: requests in flight, requests that wait, for how many seconds."""

    inflight: int = Settings.max_inflight
    queue: int = Settings.max_queue
    seconds: float = Settings.queue_seconds

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(settings.max_inflight, settings.max_queue, settings.queue_seconds)


class Admission:
    """A door that is open or closed; who has to wait is let in by order of arrival."""

    def __init__(
        self, kind: Literal["adapter", "base"], name: str, bounds: Bounds, changed: Callable[[], None]
    ) -> None:
        """`changed` is called whenever somebody leaves."""
        self._kind, self._name = kind, name
        self._bounds = bounds
        self._changed = changed
        self._open = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def open(self) -> None:
        """Let in those who wait, in this very step: nothing can come between the door and them."""
        self._open = True
        self._let_in()

    def close(self) -> None:
        """Those inside stay until they leave."""
        self._open = False

    def refuse(self, error: UserError) -> None:
        """Send everybody away who waits."""
        queue, self._queue = self._queue, deque()
        for turn in queue:
            turn.set_exception(error)

    async def enter(self, patient: bool = False) -> None:
        """Return inside. ApiError past a bound, unless one is `patient`, or what `refuse` says."""
        if self._passable and not self._queue:
            self.inside += 1
            return
        if not patient and len(self._queue) >= self._bounds.queue:
            raise self._busy()
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            # It leaves the turn as it is when the time is up, or when the one who waits is cancelled.
            await asyncio.wait((turn,), timeout=None if patient else self._bounds.seconds)
        except asyncio.CancelledError:
            self._withdraw(turn)
            raise
        if not turn.done():
            self._withdraw(turn)
            raise self._too_long()
        turn.result()

    def leave(self) -> None:
        self.inside -= 1
        self._let_in()
        self._changed()

    @property
    def _passable(self) -> bool:
        return self._open and self.inside < self._bounds.inflight

    def _let_in(self) -> None:
        while self._queue and self._passable:
            self.inside += 1
            self._queue.popleft().set_result(None)

    def _withdraw(self, turn: asyncio.Future[None]) -> None:
        """Its owner goes away: from the queue, or from inside if it was let in and has not woken up since."""
        if not turn.done():
            self._queue.remove(turn)
        elif turn.exception() is None:
            self.leave()

    def _busy(self) -> ApiError:
        return ApiError(
            f"{self._name} has {self.inside} requests in flight and {len(self._queue)} waiting, of "
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
