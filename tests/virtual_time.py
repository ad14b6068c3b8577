"""An event loop whose clock goes on by the loop's own turns, and at once where everything waits for it.

What a timeout, a pause or a backoff of seconds does is seen without their passing, and the same on a machine
that is busy with something else: however long a turn takes on the wall's clock, it takes `TURN` on this one.
"""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

TURN = 1e-4
"""Seconds; more than none, so that tasks which never wait do not stop the clock for the others."""

T = TypeVar("T")


class Loop(asyncio.SelectorEventLoop):
    """Skips to the next timer where no task can go on and no thread works for one."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.in_threads = 0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Hold the clock until the thread is done (`asyncio.to_thread` comes by here)."""
        done = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        done.add_done_callback(self._thread_is_done)
        return done

    def _thread_is_done(self, _: object) -> None:
        self.in_threads -= 1


class _Skipping(selectors.DefaultSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if self._loop.in_threads:
            # A thread wakes the loop when it is done.
            return ready if ready or timeout == 0 else super().select(None)
        if timeout == 0:
            self._loop.now += TURN
        elif not ready and timeout is None:
            return super().select(None)
        elif not ready and timeout:
            self._loop.now += timeout
        return ready


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time, which `time.monotonic` follows."""
    with asyncio.Runner(loop_factory=Loop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", runner.get_loop().time)
        return runner.run(work)


async def took(work: Awaitable[T]) -> tuple[T, float]:
    """The result, and how many seconds of the loop's clock it waited."""
    clock = asyncio.get_running_loop().time
    began = clock()
    return await work, clock() - began
