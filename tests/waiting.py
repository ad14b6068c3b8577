"""What a verdict may hang on where a machine is busy with something else: states, and processor time."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 180
"""Seconds for what takes a moment where nothing else runs; what takes longer is taken for hung."""

HUNG = 900
"""The same for a command of some seconds, or a training of some steps: those of a CPU without AVX-512 beside
others that want its cores take many times as long."""


def eventually(holds: Callable[[], bool], otherwise: str = "it did not come to that") -> None:
    """Wait until it holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)


@dataclass
class Spent:
    """Seconds of a block: on the wall's clock, and of a processor in all threads of a process."""

    wall: float = 0.0
    processor: float = 0.0

    @property
    def own(self) -> float:
        """What it would have taken at most on a machine of its own, pauses aside."""
        return min(self.wall, self.processor)


@contextmanager
def spent(processor: Callable[[], float] = time.process_time) -> Iterator[Spent]:
    """Of this process, or of the one whose seconds `processor` reads."""
    told = Spent()
    began, computed = time.monotonic(), processor()
    yield told
    told.wall, told.processor = time.monotonic() - began, processor() - computed


def python(*arguments: str, **options: Any) -> tuple[subprocess.CompletedProcess[str], float]:
    """A Python process that has ended, and the processor time that it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=PATIENCE, **options
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
