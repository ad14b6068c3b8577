"""One version on its way into the engine and out of it: its states, and who is let in to it meanwhile."""

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from data.errors import pathless
from serve.errors import ApiError
from serve.lifecycle.admission import Admission
from serve.registry.records import Version


class State(StrEnum):
    STORED = "stored"
    VERIFYING = "verifying"
    LOADING = "loading"
    PROBING = "probing"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True)
class Backoff:
    """How long a version that failed is left alone: `first` seconds, then twice as long each time."""

    first: float = 5
    most: float = 300

    def after(self, failures: int) -> float:
        """Seconds after so many failures in a row."""
        doublings = min(failures - 1, 32)
        return min(self.first * 2.0**doublings, self.most)


log = logging.getLogger(__name__)


@dataclass(eq=False)
class Entry:
    """`place` and `used` are numbers that count events, `retry_at` is in seconds of the monotonic clock.

    `held`: it has a slot, as far as the engine has confirmed. `kept`: it stays there. `spare`: it comes in
    once a slot is free that nobody waits for. `place` is when it began to wait for a slot, `used` when it was
    last lent or given back, `left` what those wait for who want it out. `condemned` is why it is not let in
    again, ever.
    """

    version: Version
    admission: Admission
    state: State = State.STORED
    held: bool = False
    kept: bool = False
    spare: bool = False
    place: int | None = None
    used: int = 0
    reason: str | None = None
    condemned: str | None = None
    failures: int = 0
    retry_at: float = 0
    left: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Nobody uses it."""
        return self.admission.inside == 0

    @property
    def left_alone(self) -> bool:
        """It failed a short while ago, or for good."""
        if self.condemned:
            return not self.held
        return self.state is State.FAILED and self.retry_at > time.monotonic()

    @property
    def pristine(self) -> bool:
        """Nothing is lost without this entry."""
        wanted = self.kept or self.spare or self.place is not None or self.left or self.admission.waiting
        return self.state is State.STORED and self.idle and not wanted

    def admit(self) -> None:
        """It is ready. Those who waited get their lease here, in the step that makes it so: nothing can take
        it out again between its arrival and their waking up."""
        self.state, self.place = State.READY, None
        self.failures, self.retry_at, self.reason = 0, 0, None
        self.admission.open()

    def drain(self, now: int) -> None:
        """Let nobody in any more; who waits, waits in line with the others from now on."""
        self.state = State.DRAINING
        self.admission.close()
        if self.admission.waiting and self.place is None:
            self.place = now

    def out(self) -> None:
        """It has left the engine."""
        self.held, self.reason = False, self.condemned
        self.state = State.FAILED if self.condemned else State.STORED

    def lost(self, now: int) -> None:
        """The engine died with it."""
        if self.state in (State.READY, State.DRAINING):
            self.drain(now)
            self.out()
        self.held = False

    def condemn(self, reason: str, now: int) -> None:
        """Let nobody in ever again; those inside may be told something else, and end by themselves."""
        self.condemned, self.spare = pathless(reason), False
        self.admission.refuse(self.error())
        if self.state is State.READY:
            self.drain(now)
        elif not self.held:
            self.out()

    def fail(self, reason: str, backoff: Backoff) -> None:
        """Leave it alone for a while, twice as long as the last time."""
        self.failures += 1
        delay = backoff.after(self.failures)
        # Strangers are told it, and the places of this machine that libraries name are for the log alone.
        self.state, self.reason, self.place = State.FAILED, pathless(reason), None
        self.retry_at = time.monotonic() + delay
        self.admission.refuse(self.error())
        log.warning(
            "adapter %s failed, tried again in %g s at the soonest: %s", self.version.reference, delay, reason
        )

    def error(self) -> ApiError:
        """What those are told who ask for it while it is left alone."""
        seconds = max(1, ceil(self.retry_at - time.monotonic()))
        reason = (self.condemned or self.reason or "").rstrip(".")
        if self.condemned:
            said = f"is not served any more: {reason}."
        else:
            said = f"could not be loaded: {reason}. It is not tried again for {seconds} s; ask after that."
        return ApiError(
            f"adapter {self.version.reference} {said}",
            status=503,
            code="adapter_failed",
            param="model",
            type="server_error",
            headers={"retry-after": str(seconds)},
        )
