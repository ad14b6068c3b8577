"""The one writer of adapter state: brings versions into an engine's slots and out again, and lends them.

A request holds a lease from the moment that it is let in until its last token; a version leaves the engine
only when nobody holds one. At most one version is on its way in or out at a time, since a load makes every
stream wait, and the version that has waited longest comes first.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from data.errors import UserError
from serve.engine.protocol import Engine, EngineUnavailable, served_name
from serve.lifecycle.admission import Admission, Bounds
from serve.lifecycle.entry import Backoff, Entry, State
from serve.lifecycle.slots import NoRoom, Slots
from serve.registry.records import StorageBusy, StorageFull, Version

Observe = Callable[[str, Version, float, bool], None]
"""Told of each phase that ended (verify, make_room, load, probe), with its seconds, and whether it failed."""


UNEXPECTED = "the server failed on it, and its log says why"

log = logging.getLogger(__name__)


UNSOUND = (
    "while serving, the engine computed no numbers with it (NaN or infinity) for a request, where the base "
    "did; retrain with a lower learning rate or lora.alpha."
)


async def _unasked(version: Version) -> None:
    """Every version is let loose."""


async def _forgotten(version: Version, why: str) -> None:
    """A version that is condemned may come in again with the next server."""


class Lifecycle:
    """Versions over an engine's slots. Every call is of the event loop's thread."""

    def __init__(
        self,
        engine: Engine,
        make_ready: Callable[[Version], None] = lambda version: None,
        bounds: Bounds = Bounds(),  # noqa: B008  it is immutable
        backoff: Backoff = Backoff(),  # noqa: B008
        observe: Observe = lambda phase, version, seconds, failed: None,
        agrees: Callable[[Version], Awaitable[None]] = _unasked,
        remember: Callable[[Version, str], Awaitable[None]] = _forgotten,
    ) -> None:
        """`make_ready` has a version's files on this machine, whole and in the page cache, or raises why that
        cannot be; it is called in a thread. `agrees` raises why a version that is in the engine must not be
        let loose; what is to be held against one that was is given to `remember`."""
        self._make_ready, self._agrees, self._remember = make_ready, agrees, remember
        self._bounds, self._backoff = bounds, backoff
        self.observe = observe
        self._entries: dict[str, Entry] = {}
        self._clock = itertools.count(1)
        self._slots = Slots(engine, self._entries, self._clock, backoff)
        self._base = Admission("base", "the base", bounds, lambda: None)
        self._base.open()
        self._sequences = Admission("engine", "the engine", Bounds(engine.sequences), lambda: None)
        self._sequences.open()
        self._last_load: dict[str, int] = {}
        """When a version came in that a key waited for, of the keys that wait now."""
        self._worker: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def state_of(self, version: Version) -> State:
        entry = self._entries.get(served_name(version))
        return entry.state if entry else State.STORED

    def loaded(self) -> list[str]:
        """What is in the engine, as `name@number`."""
        return sorted(one.version.reference for one in self._slots.held)

    def reason_of(self, version: Version) -> str | None:
        """Why the version failed, where it did."""
        entry = self._entries.get(served_name(version))
        return entry.reason if entry else None

    async def ensure_ready(self, version: Version) -> None:
        """Return once the version is in the engine, however long that takes; ApiError if it fails."""
        entry = self._entry(version)
        if entry.state is not State.READY:
            self._ask_for(entry)
            await entry.admission.enter(patient=True)
            self._give_back(entry)

    @asynccontextmanager
    async def lease(self, version: Version | None, key: str = "", places: int = 1) -> AsyncIterator[None]:
        """Hold the version in the engine; None is the base, which is always there.

        `places` is how much of the engine the request of this `key` takes, in short answers. Waits for a
        load, a free slot, for others of the same version, and for a turn among all keys. ApiError for a
        version that failed, past a bound, or after too long a wait.
        """
        # The engine's own queue is in order of arrival, so nobody gets into it before there is room.
        waited_out = self._sequences.entered(key, places, patient=True)
        async with self._lent(version, key, places), waited_out:
            yield

    @asynccontextmanager
    async def _lent(self, version: Version | None, key: str, places: int) -> AsyncIterator[None]:
        if version is None:
            async with self._base.entered(key, places):
                yield
            return
        entry = self._entry(version)
        self._ask_for(entry)
        places = await entry.admission.enter(key, places)
        entry.used = next(self._clock)
        try:
            yield
        finally:
            self._give_back(entry, key, places)

    def keep(self, versions: Sequence[Version]) -> None:
        """Have these, and no others, stay in their slots when another needs one, and come in if they are not
        there. Said again and again, it also tries those again that failed."""
        kept = {served_name(version) for version in versions}
        for name, entry in self._entries.items():
            entry.kept = name in kept
        for version in versions:
            entry = self._entry(version)
            entry.kept = True
            out = entry.state in (State.STORED, State.FAILED) and not entry.condemned
            if out and entry.place is None and entry.retry_at <= time.monotonic():
                entry.place = next(self._clock)
                self._wake()
        self._tell()

    def bring_back(self, versions: Sequence[Version]) -> None:
        """Have these come in as long as there are free slots that nobody waits for."""
        for version in versions:
            entry = self._entry(version)
            entry.spare = not entry.condemned
        self._wake()

    async def unload(self, version: Version) -> None:
        """Let the requests in flight finish, then take the version out of the engine."""
        entry = self._entries.get(served_name(version))
        if entry is None:
            return
        entry.left = entry.left or asyncio.get_running_loop().create_future()
        if entry.state is State.READY:
            entry.drain(next(self._clock))
        self._wake()
        await asyncio.shield(entry.left)

    async def condemn(self, version: Version) -> None:
        """Let nobody use a version any more with which the engine computes no numbers.

        Requests in flight end by themselves, since each of them is looked at; then it leaves the engine.
        """
        entry = self._entry(version)
        if entry.condemned:
            return
        log.error("adapter %s is not served any more: %s", version.reference, UNSOUND)
        entry.condemn(UNSOUND, next(self._clock))
        if entry.held:
            entry.left = entry.left or asyncio.get_running_loop().create_future()
        self._wake()
        try:
            await self._remember(version, UNSOUND)
        except UserError as error:
            log.error("that is not remembered for the next start: %s", error)

    def engine_lost(self) -> list[Version]:
        """The engine died with all that it held; returns what was ready, the last used first.

        What is on its way in or out hears of it from the engine.
        """
        ready = [one for one in self._slots.held if one.state is State.READY]
        for entry in self._slots.held:
            entry.lost(next(self._clock))
        self._wake()
        return [one.version for one in sorted(ready, key=lambda one: (one.kept, one.used), reverse=True)]

    async def close(self) -> None:
        """Stop what is on its way in or out; the engine is about to go."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def _entry(self, version: Version) -> Entry:
        name = served_name(version)
        if name not in self._entries:
            admission = Admission("adapter", f"adapter {version.reference}", self._bounds, self._tell)
            self._entries[name] = Entry(version, admission)
        return self._entries[name]

    def _give_back(self, entry: Entry, key: str = "", places: int = 1) -> None:
        entry.used = next(self._clock)
        entry.admission.leave(key, places)

    def _ask_for(self, entry: Entry) -> None:
        """Give a version that is not there a place in the line; ApiError while it is left alone."""
        if entry.state is State.READY:
            return
        if entry.left_alone or entry.condemned:
            raise entry.error()
        if entry.place is None:
            entry.place = next(self._clock)
        self._wake()

    def _wake(self) -> None:
        """Have a worker look at what there is to do."""
        if self._worker is None or self._worker.done():
            self._news = asyncio.Event()
            self._worker = asyncio.create_task(self._work())
        self._tell()

    def _tell(self) -> None:
        self._news.set()

    async def _work(self) -> None:
        """Until nothing is left to do: take out what has to leave, bring in what has waited longest."""
        while True:
            self._news.clear()
            leaving = [one for one in list(self._entries.values()) if one.left and not self._gone(one)]
            if idle := [one for one in leaving if one.idle]:
                await self._slots.take_out(idle[0])
            elif entry := self._next():
                await self._bring_in(entry)
            elif leaving:
                await self._news.wait()
            else:
                return

    def _gone(self, entry: Entry) -> bool:
        """Whether one who has to leave is gone, or will not go; those who wait for that are told."""
        if entry.held and entry.state is not State.FAILED:
            entry.drain(next(self._clock))  # it may have come in since
            return False
        assert entry.left
        entry.left.set_result(None)
        entry.left = None
        return True

    def _next(self) -> Entry | None:
        """What has waited longest for a slot and is still wanted, of what the keys want whose last load was
        longest ago; else one to have back in a free slot."""
        out = [one for one in self._entries.values() if one.state in (State.STORED, State.FAILED)]
        for entry in sorted((one for one in out if one.place), key=self._turn_of):
            if entry.admission.waiting or entry.kept:
                self._note_turn(entry)
                return entry
            entry.place = None  # whoever asked for it went away
        for entry in out:
            if entry.spare and self._slots.free:
                return entry
            entry.spare = False
        for entry in out:
            if entry.pristine:
                del self._entries[served_name(entry.version)]
        return None

    def _turn_of(self, entry: Entry) -> tuple[int, int]:
        """What comes first is least."""
        turns = (self._last_load.get(key, 0) for key in entry.admission.keys_waiting)
        return min(turns, default=0), entry.place or 0

    def _note_turn(self, entry: Entry) -> None:
        """It comes in, which is a turn of all keys that wait for it."""
        waiting = {key for one in self._entries.values() for key in one.admission.keys_waiting}
        self._last_load = {key: at for key, at in self._last_load.items() if key in waiting}
        self._last_load |= dict.fromkeys(entry.admission.keys_waiting, next(self._clock))

    async def _bring_in(self, entry: Entry) -> None:
        entry.spare = False
        try:
            await self._load(entry)
        except (StorageBusy, StorageFull, NoRoom, EngineUnavailable) as error:
            # Nothing is wrong with the version: it is tried again when it is asked for again.
            entry.state, entry.reason, entry.place = State.STORED, None, None
            entry.retry_at = time.monotonic() + self._backoff.first
            entry.admission.refuse(error)
        except Exception as error:
            if not isinstance(error, UserError):
                log.error("adapter %s failed", entry.version.reference, exc_info=error)
            # What nobody expected may name places of this machine: that is for the log alone.
            reason = str(error) if isinstance(error, UserError) else f"{UNEXPECTED} ({type(error).__name__})"
            entry.fail(reason, self._backoff)

    async def _load(self, entry: Entry) -> None:
        if entry.held:
            await self._slots.remove(entry)  # which the engine did not confirm the last time
        entry.state = State.VERIFYING
        with self._phase("verify", entry):
            await asyncio.to_thread(self._make_ready, entry.version)
        with self._phase("make_room", entry):
            await self._slots.make_room(self._news)
        with self._phase("load", entry):
            await self._slots.put_in(entry)
        with self._phase("probe", entry):
            await self._probe(entry)
        entry.admit()

    async def _probe(self, entry: Entry) -> None:
        """Out again with what does not answer as it was trained to."""
        entry.state = State.PROBING
        try:
            await self._agrees(entry.version)
        except Exception:
            await self._slots.remove(entry)
            raise

    @contextmanager
    def _phase(self, name: str, entry: Entry) -> Iterator[None]:
        began, failed = time.monotonic(), True
        try:
            yield
            failed = False
        finally:
            self.observe(name, entry.version, time.monotonic() - began, failed)
