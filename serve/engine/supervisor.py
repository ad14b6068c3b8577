"""An engine that is started again when it dies, with the adapters that it held.

What a dead engine was doing ends with EngineDied. What comes while a new one starts waits for it, and no
longer than `Patience.wait` from the death on. An engine that dies again and again without an answer in
between is given up, since starting it once more would only hide that.
"""

import asyncio
import gc
import logging
import math
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from data.errors import UserError
from serve.engine.protocol import Answer, Engine, EngineDied, EngineUnavailable, NoNumbers, served_name
from serve.errors import ApiError
from serve.registry.records import Version

MOST_DEADLY = 2
"""Deaths under loads of one version, without one that went well: it may be chance once."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """All times in seconds."""

    wait: float = 120
    """How long after a death requests wait for the next engine."""
    deaths: int = 5
    """So many without an answer in between, within `window`, and it is not started again."""
    window: float = 600
    first_pause: float = 1
    """Before the second start in vain; it doubles from start to start, up to `longest_pause`."""
    longest_pause: float = 30
    look: float = 0.1
    """How often it is looked at while nobody asks it anything."""


class Adapters(Protocol):
    """What the lifecycle does when its engine is gone, or computes no numbers with a version."""

    def engine_lost(self) -> list[Version]:
        """Forget what was loaded, and say what it was."""

    async def ensure_ready(self, version: Version) -> None: ...

    async def condemn(self, version: Version) -> None:
        """Let nobody use it any more."""


@dataclass
class _Life:
    """One engine from its start to its death, and the names of the adapters that it holds."""

    engine: Engine
    over: asyncio.Future[None]
    held: set[str] = field(default_factory=set)


class Supervisor:
    """`protocol.Engine` over one engine after the other; `make` gives a new one, not yet started."""

    def __init__(self, make: Callable[[], Engine], patience: Patience | None = None) -> None:
        self._make = make
        self._patience = patience or Patience()
        self._engine = make()
        self.slots, self.base_name = self._engine.slots, self._engine.base_name
        self.sequences = self._engine.sequences
        self.adapters: Adapters | None = None
        """Whom to tell of a death."""
        self._life: _Life | None = None
        self._turn = asyncio.Event()
        """Set while there is an engine, and for good when there will be none."""
        self._given_up = False
        self._in_vain: deque[float] = deque()
        self._deadly: Counter[str] = Counter()
        self._lost: dict[str, Version] = {}
        self._since = 0.0
        self._start_took = 0.0
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._begin_life()
        self._watch = asyncio.create_task(self._supervise())

    async def close(self) -> None:
        if self._watch:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._engine.close()

    @property
    def identity(self) -> str:
        return self._engine.identity

    @property
    def trouble(self) -> EngineUnavailable | None:
        self._notice()
        if self._life:
            return None
        if self._given_up:
            return EngineUnavailable(
                f"The engine died {self._patience.deaths} times without an answer in between and is not "
                "started again; the server's log says why. Start the server again.",
                code="engine_dead",
            )
        gone = _now() - self._since
        return EngineUnavailable(
            f"The engine died {gone:.0f} s ago and is starting again; send the request again in a moment.",
            code="engine_restarting",
            retry_after=max(1, math.ceil(self._start_took - gone)),
        )

    async def add(self, version: Version) -> None:
        life, name = await self._living(), served_name(version)
        try:
            await self._or_died(life, life.engine.add(version))
        except EngineDied:
            self._deadly[name] += 1
            if self._deadly[name] < MOST_DEADLY:
                raise
            # Not unavailable but refused: the lifecycle takes it for failed, and the others live on.
            raise ApiError(f"the engine died {self._deadly[name]} times under this load.") from None
        self._deadly.pop(name, None)
        life.held.add(name)

    async def remove(self, version: Version) -> None:
        self._notice()
        life, name = self._life, served_name(version)
        if life is None or name not in life.held:
            return  # it went with the engine that held it
        life.held.remove(name)
        with suppress(EngineDied):
            await self._or_died(life, life.engine.remove(version))

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        """Returns a stream with its first token at hand: where EngineDied is raised, nothing was said."""
        life = await self._living()
        if version and served_name(version) not in life.held:
            raise EngineDied  # lent by an engine that is gone
        try:
            answer = await self._or_died(life, self._first_token(life.engine, body, version))
        except NoNumbers as error:
            await self._condemn(error)
            raise
        self._in_vain.clear()
        return answer

    async def likeliest(
        self, token_ids: list[int], places: list[int], version: Version | None
    ) -> list[list[tuple[int, float]]]:
        life = await self._living()
        if version and served_name(version) not in life.held:
            raise EngineDied
        return await self._or_died(life, life.engine.likeliest(token_ids, places, version))

    async def _living(self) -> _Life:
        """The engine's present life, waited for; EngineUnavailable where there is none in time."""
        self._notice()
        while self._life is None:
            if not self._given_up:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._since + self._patience.wait):
                        await self._turn.wait()
                        continue
            raise self.trouble or EngineDied()
        return self._life

    async def _or_died(self, life: _Life, work: Coroutine[Any, Any, T]) -> T:
        """The work's result, if the life outlasts it; vLLM leaves some calls to a dead engine unanswered."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, life.over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()  # taken, or asyncio would complain that nobody saw it
        self._notice()
        if life.over.done():
            raise EngineDied
        return task.result()

    def _notice(self) -> None:
        """See whether the engine died: at each call, so that none is made on a dead one."""
        if self._life is None or self._engine.trouble is None:
            return
        log.error("the engine died; it is started again")
        self._life.over.set_result(None)
        self._life = None
        self._turn.clear()
        self._since = _now()
        self._in_vain.append(self._since)
        if self.adapters:
            self._lost |= {served_name(version): version for version in self.adapters.engine_lost()}

    async def _begin_life(self) -> None:
        began = _now()
        await self._engine.start()
        self._start_took = _now() - began
        self._life = _Life(self._engine, asyncio.get_running_loop().create_future())
        self._turn.set()

    async def _supervise(self) -> None:
        while not self._given_up:
            self._notice()
            if self._life is None:
                await self._restart()
            elif self._lost:
                await self._load_again()
            else:
                await asyncio.sleep(self._patience.look)

    async def _restart(self) -> None:
        """One more try, or none."""
        await self._engine.close()
        while self._in_vain and self._in_vain[0] < _now() - self._patience.window:
            self._in_vain.popleft()
        tries = len(self._in_vain)
        if tries >= self._patience.deaths:
            log.critical("the engine died %d times without an answer in between; given up", tries)
            self._given_up = True
            self._turn.set()
            return
        if tries > 1:
            await asyncio.sleep(
                min(self._patience.first_pause * 2 ** (tries - 2), self._patience.longest_pause)
            )
        self._engine = self._make()
        # The dead one is a web of cycles, 40 MB with its tokenizer: the collector would come by too late.
        gc.collect()
        try:
            await self._begin_life()
        except Exception:
            log.exception("the engine did not start")
            self._in_vain.append(_now())
        else:
            log.warning("the engine runs again after %.0f s", _now() - self._since)

    async def _load_again(self) -> None:
        name, version = next(iter(self._lost.items()))
        try:
            assert self.adapters
            await self.adapters.ensure_ready(version)
        except EngineUnavailable:
            return  # dead again: it stays on the list
        except UserError as error:
            log.warning("%s is not loaded again: %s", version.reference, error)
        except Exception:
            log.exception("%s is not loaded again", version.reference)
        del self._lost[name]

    async def _first_token(self, engine: Engine, body: dict[str, Any], version: Version | None) -> Answer:
        """The answer, once there is some of it."""
        answer = await engine.chat(body, version)
        if not isinstance(answer, dict):
            async for event in answer:
                return self._from(event, answer)
        return answer

    async def _from(self, first: str, rest: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        try:
            yield first
            async for event in rest:
                yield event
        except NoNumbers as error:
            await self._condemn(error)
            raise

    async def _condemn(self, error: NoNumbers) -> None:
        log.error("%s", error)
        if error.blamed and self.adapters:
            await self.adapters.condemn(error.blamed)


def _now() -> float:
    return asyncio.get_running_loop().time()
