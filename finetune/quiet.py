"""Keep third-party noise off the terminal: it goes to a log file, our own lines stay."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, ConsoleDimensions


class _Terminal(Console):
    """A console as wide as the terminal behind its own file: rich looks at descriptors 0 to 2 alone."""

    @property
    def size(self) -> ConsoleDimensions:
        try:
            columns, lines = os.get_terminal_size(self.file.fileno())
        except OSError:
            return super().size
        return ConsoleDimensions(columns or 80, lines or 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise NotImplementedError("a terminal has the size that its owner gives it")


@contextmanager
def quiet(log: Path) -> Iterator[Console]:
    """Everything that libraries print, at the level of file descriptors, lands in `log` for a while.

    Yields the console that still reaches the person. Displays on it must leave `sys.stdout` alone, as
    those of `finetune.progress` do.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab", buffering=0) as sink, os.fdopen(os.dup(saved[1]), "w", buffering=1) as terminal:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield _Terminal(file=terminal, soft_wrap=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
