"""SIGTERM and Ctrl-C while training: the step's work is kept, and the run ends by itself."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Abandoned(Exception):  # noqa: N818 - a wish, no error
    """Raised between two passes of a step, or of an evaluation, when somebody wants the run to end."""


class Stopping:
    """`signal` is the number of the signal that asked for the end, 0 before."""

    def __init__(self) -> None:
        self.signal = 0

    def check(self) -> None:
        """Raise `Abandoned` when the run is to end."""
        if self.signal:
            raise Abandoned


@contextmanager
def listening() -> Iterator[Stopping]:
    """Take SIGTERM and the first Ctrl-C as a wish; the second Ctrl-C interrupts at once, as ever."""
    stopping = Stopping()

    def wish(number: int, _: FrameType | None) -> None:
        stopping.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, wish) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
