"""The server's log: where everything goes that this process, vLLM and the engine's process print.

It is set aside once it is long, while all of them write to it: under its old name there is a new file then,
to which each process turns its own descriptors. What one writes meanwhile goes to either, and none is lost.
"""

import logging
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from rich.console import Console

from data.errors import UserError
from data.home import home

KEPT_BYTES = 32 * 2**20
"""A log that is longer becomes `serve-PORT.log.1`."""
KEPT_FILES = 3
LOOK_SECONDS = 1.0
"""How often its length is looked at, and by the processes under a server whether it is another file now."""
STANDARD_OUTPUT = ("-", "stdout")
POLL_SECONDS = 0.2
LOG = "ENXERTO_LOG"
"""The environment variable in which a server tells the processes under it where its log is."""
_HERE = "here"
_STREAMS = (1, 2)

log = logging.getLogger(__name__)


def path_of(port: int) -> Path:
    """The log of the server on this port."""
    return home() / "logs" / f"serve-{port}.log"


@contextmanager
def captured(port: int, to: str | None = None) -> Iterator[tuple[str, Console]]:
    """Send what this process and its children print to a log; the console still reaches the terminal.

    `to` is another file, or `-` to leave all on standard output, as containers want it. Nothing of an
    earlier start is lost: the log is appended to. Yields what to say of the place.
    """
    if to in STANDARD_OUTPUT:
        yield _HERE, _console(sys.stdout)
        return
    path = Path(to) if to else path_of(port)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _set_aside(path)
        file = path.open("a")
    except OSError as error:
        raise UserError(
            f"the log {path} cannot be written ({error.strerror}); give another file with --log-to, or - for "
            "standard output."
        ) from None
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with os.fdopen(os.dup(1), "w") as terminal, file:
        file.write(_heading("serve up"))
        file.flush()
        for number in _STREAMS:
            os.dup2(file.fileno(), number)
        os.environ[LOG] = str(path.absolute())
        over = threading.Event()
        keeper = threading.Thread(target=_keep, args=(path, over), daemon=True, name="log")
        keeper.start()
        try:
            yield str(path), _console(terminal)
        finally:
            over.set()
            keeper.join()
            del os.environ[LOG]
            sys.stdout.flush()
            sys.stderr.flush()
            for kept, number in zip(saved, _STREAMS, strict=True):
                os.dup2(kept, number)
                os.close(kept)


def leave_to(log: str) -> None:
    """Send what is still printed to the log that `captured` named."""
    if log == _HERE:
        return
    with Path(log).open("a") as file:
        for number in _STREAMS:
            os.dup2(file.fileno(), number)


def follow() -> None:
    """In a process under a server: write on into the log's next file once there is one."""
    if path := os.environ.get(LOG):
        threading.Thread(target=_follow_on, args=(Path(path),), daemon=True, name="log").start()


def _follow_on(path: Path) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(OSError):  # the server says so, which keeps this log
            _renew(path)


def _keep(path: Path, over: threading.Event) -> None:
    """Set the log aside whenever it has become long, and follow where something else moved it away."""
    told = False
    while not over.wait(LOOK_SECONDS):
        try:
            if _set_aside(path):
                with path.open("a") as file:
                    file.write(_heading("goes on"))
            _renew(path)
        except OSError as error:
            if not told:
                log.warning("the log cannot be set aside (%s), and grows", error.strerror)
            told = True


def _renew(path: Path) -> None:
    """Turn those of this process's streams that are a file to the one that has the log's name now."""
    with path.open("a") as file:
        there = os.fstat(file.fileno())
        for number in _STREAMS:
            here = os.fstat(number)
            if stat.S_ISREG(here.st_mode) and not os.path.samestat(here, there):
                os.dup2(file.fileno(), number)


def _heading(what: str) -> str:
    return f"--- {what}, process {os.getpid()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ---\n"


def lines_of(port: int, count: int, follow: bool = False) -> Iterator[str]:
    """The last `count` lines of a server's log, and with `follow` what is added, also in its next files.

    UserError, with the logs that there are, where this server has none.
    """
    path = path_of(port)
    if not path.is_file():
        others = sorted(found.stem.removeprefix("serve-") for found in path.parent.glob("serve-*.log"))
        there = f"there are logs of --port {', '.join(others)}" if others else "no server ran here yet"
        raise UserError(f"no server on port {port} has left a log in {path.parent}; {there}.")
    with path.open("rb") as file:
        last = deque(file, maxlen=count)
        if len(last) < count:
            with suppress(FileNotFoundError), _older(path, 1).open("rb") as older:
                last = deque(chain(older, last), maxlen=count)
        for line in last:
            yield line.decode(errors="replace")
        if follow:
            yield from _added(path, file)


def _added(path: Path, file: BinaryIO) -> Iterator[str]:
    """What is added behind the place in `file`, which is the log or was it, and in all that follow it.

    One that was set aside is read for a while longer: not all processes turn to the next one at once.
    """
    reading, until = [file], 0.0
    try:
        while True:
            if said := next(filter(None, map(_read, reading)), ""):
                yield said
            elif len(reading) > 1 and time.monotonic() > until:
                for one in reading[:-1]:
                    one.close()
                reading = reading[-1:]
            elif len(reading) == 1 and (newer := _behind(path, reading[0])):
                if len(newer) > KEPT_FILES:
                    yield "--- it was set aside faster than this reads: some may be missing here ---\n"
                reading += newer
                until = time.monotonic() + 3 * LOOK_SECONDS
            else:
                time.sleep(POLL_SECONDS)
    finally:
        for one in reading:
            one.close()


def _read(file: BinaryIO) -> str:
    """What stands behind the place in a file, at most 1 MiB; from its start where it was emptied."""
    if os.fstat(file.fileno()).st_size < file.tell():
        file.seek(0)
    return file.read(2**20).decode(errors="replace")


def _behind(path: Path, file: BinaryIO) -> list[BinaryIO]:
    """The files that the log went on in after this one, the oldest first, open."""
    newer: list[BinaryIO] = []
    for number in range(KEPT_FILES + 1):
        with suppress(FileNotFoundError):  # they are being renamed, from the oldest one on
            one = _older(path, number).open("rb")
            if _same(one, file):
                one.close()
                break
            if newer and _same(one, newer[0]):  # it became older just now
                one.close()
            else:
                newer.insert(0, one)
    return newer


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _set_aside(path: Path) -> bool:
    """Whether a log was long enough to make room for a new one: `.1` is the newest of those kept."""
    if not path.is_file() or path.stat().st_size < KEPT_BYTES:
        return False
    for number in range(KEPT_FILES, 0, -1):
        with suppress(FileNotFoundError):
            _older(path, number - 1).rename(_older(path, number))
    return True


def _console(file: TextIO) -> Console:
    return Console(file=file, highlight=False, markup=False, soft_wrap=True)
