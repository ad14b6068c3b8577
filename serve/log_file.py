"""The server's log: where everything goes that this process, vLLM and the engine's process print."""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console

from data.errors import UserError
from data.home import home

KEPT_BYTES = 32 * 2**20
"""A log that is longer when a server starts becomes `serve-PORT.log.1`."""
KEPT_FILES = 3
STANDARD_OUTPUT = ("-", "stdout")
POLL_SECONDS = 0.2
_HERE = "here"


def path_of(port: int) -> Path:
    """The log of the server on this port."""
    return home() / "logs" / f"serve-{port}.log"


@contextmanager
def captured(port: int, to: str | None = None) -> Iterator[tuple[str, Console]]:
    """Send what this process and its children print to a log; the console still reaches the terminal.

    `to` is another file, or `-` to leave all on standard output, as containers want it. Nothing of an
    earlier start is lost: the log is appended to, and set aside when it has become long. Yields what to
    say of the place.
    """
    if to in STANDARD_OUTPUT:
        yield _HERE, _console(sys.stdout)
        return
    path = Path(to) if to else path_of(port)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _set_aside(path)
        log = path.open("a")
    except OSError as error:
        raise UserError(
            f"the log {path} cannot be written ({error.strerror}); give another file with --log-to, or - for "
            "standard output."
        ) from None
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log, os.fdopen(os.dup(1), "w") as terminal:
        log.write(f"--- serve up, process {os.getpid()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ---\n")
        log.flush()
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield str(path), _console(terminal)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for kept, number in zip(saved, (1, 2), strict=True):
                os.dup2(kept, number)
                os.close(kept)


def leave_to(log: str) -> None:
    """Send what is still printed to the log that `captured` named."""
    if log == _HERE:
        return
    with Path(log).open("a") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)


def lines_of(port: int, count: int, follow: bool = False) -> Iterator[str]:
    """The last `count` lines of a server's log, and with `follow` what is added, also in its next file.

    UserError, with the logs that there are, where this server has none.
    """
    path = path_of(port)
    if not path.is_file():
        others = sorted(found.stem.removeprefix("serve-") for found in path.parent.glob("serve-*.log"))
        there = f"there are logs of --port {', '.join(others)}" if others else "no server ran here yet"
        raise UserError(f"no server on port {port} has left a log in {path.parent}; {there}.")
    with path.open("rb") as file:
        for line in deque(file, maxlen=count):
            yield line.decode(errors="replace")
        place, known = file.tell(), os.fstat(file.fileno()).st_ino
    while follow:
        block, place, known = _added(path, place, known)
        if block:
            yield block.decode(errors="replace")
        else:
            time.sleep(POLL_SECONDS)


def _added(path: Path, place: int, known: int) -> tuple[bytes, int, int]:
    """What stands in a log behind `place`, from the start where it is another file now, or was emptied."""
    try:
        with path.open("rb") as file:
            now = os.fstat(file.fileno())
            if now.st_ino != known or now.st_size < place:
                place, known = 0, now.st_ino
            file.seek(place)
            block = file.read(2**20)
    except FileNotFoundError:  # just set aside
        return b"", place, known
    return block, place + len(block), known


def _set_aside(path: Path) -> None:
    """A log that is long enough makes room for a new one: `.1` is the newest of those kept."""
    if not path.is_file() or path.stat().st_size < KEPT_BYTES:
        return
    for number in range(KEPT_FILES - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.is_file():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def _console(file: TextIO) -> Console:
    return Console(file=file, highlight=False, markup=False, soft_wrap=True)
