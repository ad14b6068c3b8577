"""The one writer of adapter state: which versions are in the engine, and who is using them.

stored -> verifying -> loading -> ready -> draining -> stored, or failed with a reason. A request holds a
lease from the moment that it is let in until its last token; a version leaves the engine only when nobody
holds one. At most one version is on its way in or out at a time, since a load makes every stream wait.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from data.errors import UserError
from serve.engine.protocol import Engine, served_name
from serve.errors import ApiError
from serve.registry.records import StorageBusy, StorageFull, Version


class State(StrEnum):
    STORED = "stored"
    VERIFYING = "verifying"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass
class _Adapter:
    version: Version
    state: State = State.STORED
    reason: str | None = None
    leases: int = 0
    last_used: int = 0
    kept: bool = False
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    arrival: asyncio.Task[None] | None = None


class Lifecycle:
    """Brings versions into an engine's slots and out again, and lends them to requests."""

    def __init__(self, engine: Engine, make_ready: Callable[[Version], None] = lambda version: None) -> None:
        """`make_ready` has a version's files on this machine and whole, or raises why that cannot be."""
        self._engine = engine
        self._make_ready = make_ready
        self.on_phase: Callable[[Version, str, float, bool], None] = lambda *_: None
        """Told of each phase of a load (verify, make_room, engine_load): its seconds, whether it failed."""
        self._adapters: dict[str, _Adapter] = {}
        self._one_at_a_time = asyncio.Lock()
        self._clock = itertools.count(1)

    def state_of(self, version: Version) -> State:
        adapter = self._adapters.get(served_name(version))
        return adapter.state if adapter else State.STORED

    def loaded(self) -> list[str]:
        """What is in the engine, as `name@number`."""
        return sorted(one.version.reference for one in self._adapters.values() if one.state is State.READY)

    def reason_of(self, version: Version) -> str | None:
        """Why the version failed, where it did."""
        adapter = self._adapters.get(served_name(version))
        return adapter.reason if adapter else None

    async def ensure_ready(self, version: Version) -> None:
        """Return once the version is in the engine; a failed one is tried again. ApiError if it fails."""
        adapter = self._adapter(version)
        if adapter.state is State.FAILED:
            adapter.state, adapter.reason = State.STORED, None
        async with self.lease(version):
            pass

    @asynccontextmanager
    async def lease(self, version: Version) -> AsyncIterator[None]:
        """Hold the version in the engine; waits for a load or a free slot. ApiError for a failed version."""
        adapter = self._adapter(version)
        if adapter.state is State.READY:
            self._lend(adapter)
        else:
            await self._arrive(adapter)
        try:
            yield
        finally:
            self._give_back(adapter)

    def keep(self, versions: Sequence[Version]) -> list[Version]:
        """Have these, and no others, stay in their slots when another needs one; returns the new ones."""
        kept = {served_name(version) for version in versions}
        new = [version for version in versions if not self._adapter(version).kept]
        for name, adapter in self._adapters.items():
            adapter.kept = name in kept
        return new

    async def unload(self, version: Version) -> None:
        """Let the requests in flight finish, then take the version out of the engine."""
        async with self._one_at_a_time:
            adapter = self._adapter(version)
            if adapter.state is State.READY:
                await self._take_out(adapter)

    async def close(self) -> None:
        """Stop what is on its way in or out; the engine is about to go."""
        tasks = [adapter.arrival for adapter in self._adapters.values() if adapter.arrival]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _adapter(self, version: Version) -> _Adapter:
        return self._adapters.setdefault(served_name(version), _Adapter(version))

    def _lend(self, adapter: _Adapter) -> None:
        adapter.leases += 1
        adapter.last_used = next(self._clock)
        adapter.idle.clear()

    def _give_back(self, adapter: _Adapter) -> None:
        adapter.leases -= 1
        if adapter.leases == 0:
            adapter.idle.set()

    async def _arrive(self, adapter: _Adapter) -> None:
        """Wait for the version with a lease taken; the load goes on when the one who asked goes away."""
        if adapter.state is State.FAILED:
            raise self._failed(adapter)
        turn = asyncio.get_running_loop().create_future()
        adapter.waiting.append(turn)
        if adapter.arrival is None or adapter.arrival.done():
            adapter.arrival = asyncio.create_task(self._bring_in(adapter))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(adapter)
            raise

    async def _bring_in(self, adapter: _Adapter) -> None:
        async with self._one_at_a_time:
            try:
                await self._load(adapter)
            except (StorageBusy, StorageFull) as error:
                # Nothing is wrong with the version: it is tried again when it is asked for again.
                adapter.state = State.STORED
                self._call(adapter, error)
            except Exception as error:
                known = error if isinstance(error, UserError) else None
                adapter.state, adapter.reason = State.FAILED, str(known or f"{type(error).__name__}: {error}")
                self._call(adapter, self._failed(adapter))
            else:
                # Those who waited get their lease here, in the step that makes it ready: nothing can
                # take it out again between its arrival and their waking up.
                self._call(adapter)

    async def _load(self, adapter: _Adapter) -> None:
        adapter.state = State.VERIFYING
        with self._phase(adapter, "verify"):
            await asyncio.to_thread(self._make_ready, adapter.version)
        with self._phase(adapter, "make_room"):
            await self._make_room()
        adapter.state = State.LOADING
        with self._phase(adapter, "engine_load"):
            await self._engine.add(adapter.version)
        adapter.state = State.READY

    @contextmanager
    def _phase(self, adapter: _Adapter, name: str) -> Iterator[None]:
        began, failed = time.perf_counter(), True
        try:
            yield
            failed = False
        finally:
            self.on_phase(adapter.version, name, time.perf_counter() - began, failed)

    async def _make_room(self) -> None:
        """Free a slot where all are taken: the one idle for longest, else the least recently lent one.

        A busy one is drained too, so that an adapter in steady use cannot keep another out for ever.
        """
        resident = [one for one in self._adapters.values() if one.state is State.READY]
        if len(resident) < self._engine.slots:
            return
        movable = [one for one in resident if not one.kept]
        if not movable:
            raise UserError(
                f"all {self._engine.slots} slots hold pinned versions; unpin one with `serve pin --off`, or "
                "start the server with a higher --max-loras."
            )
        await self._take_out(min(movable, key=lambda one: (one.leases > 0, one.last_used)))

    async def _take_out(self, adapter: _Adapter) -> None:
        adapter.state = State.DRAINING
        if adapter.leases:
            await adapter.idle.wait()
        try:
            await self._engine.remove(adapter.version)
        except Exception as error:
            # Its own misfortune, not that of the one who needs the slot.
            adapter.state, adapter.reason = State.FAILED, f"the engine did not let go of it: {error}"
        else:
            adapter.state = State.STORED

    def _call(self, adapter: _Adapter, error: UserError | None = None) -> None:
        waiting, adapter.waiting = adapter.waiting, []
        for turn in waiting:
            if turn.done():
                continue
            if error:
                turn.set_exception(error)
            else:
                self._lend(adapter)
                turn.set_result(None)

    @staticmethod
    def _failed(adapter: _Adapter) -> ApiError:
        version = adapter.version
        return ApiError(
            f"adapter {version.reference} could not be loaded: {adapter.reason}",
            status=503,
            code="adapter_failed",
            param="model",
            type="server_error",
        )
