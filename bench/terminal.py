"""A command under a pseudo-terminal, as a person has it: what stands on the screen, and keys to press.

The screen is drawn by pyte, which is nobody's own reading of escape sequences.
"""

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte

from bench.parent import die_with_parent
from data.errors import UserError

KEPT = 100_000
"""Lines that may scroll off the top of the screen and are still known."""
CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"
PROMPT = ">"


class Terminal:
    """Use as a context manager: the process ends with the block. Not for more than one thread.

    What a program writes is drawn when somebody looks: by `wait_for`, `finish` and `pump`.
    """

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 80,
        rows: int = 40,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=KEPT, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._sent: int | None = None
        self.raw = bytearray()
        """Every byte that came, in order."""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=cwd,
                env=_environment(environment),
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGTERM)
                self._wait(30)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """All lines as they stand, those that scrolled off first, without blanks at their ends."""
        gone = ["".join(row[at].data for at in range(self._screen.columns)) for row in self._scrolled()]
        lines = [line.rstrip() for line in [*gone, *self._screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def flat(self) -> str:
        """All that stands there, its blanks and line ends made one blank each: for what may be wrapped."""
        return " ".join(self.text.split())

    def send(self, keys: str) -> None:
        """Press keys; `CTRL_C` is what a person's Ctrl-C is, a signal to the foreground of this terminal."""
        self._sent = len(self.raw)
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Return once `text` stands in `flat`; UserError with the screen where it ends or takes too long.

        `PROMPT` is there when the last line is nothing else.
        """
        limit = time.monotonic() + seconds
        while not self._shows(text):
            alive = self.pump(min(1.0, limit - time.monotonic()))
            if not self._shows(text) and (not alive or time.monotonic() > limit):
                raise UserError(f"{text!r} did not come; the terminal shows:\n{self.text}")

    def finish(self, seconds: float = 300) -> int:
        """Wait for the process's end; its exit code, and -N after signal N."""
        if not self._wait(seconds):
            raise UserError(f"the command went on for {seconds:g} s; the terminal shows:\n{self.text}")
        return int(self._process.wait(5))

    def pump(self, seconds: float) -> bool:
        """Draw what comes within `seconds`, until something came; False where nothing can come any more."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return True
        try:
            block = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux says so when the last holder of the other end is gone
                raise
            return False
        self.raw += block
        self._stream.feed(block)
        return bool(block)

    def _shows(self, text: str) -> bool:
        if text != PROMPT:
            return text in self.flat
        # A prompt that stood there before the keys were answered is not the next one.
        answered = self._sent is None or b"\n" in self.raw[self._sent :]
        return answered and self.lines[-1:] == [PROMPT]

    def _scrolled(self) -> list[Any]:
        return list(self._screen.history.top)

    def _wait(self, seconds: float) -> bool:
        """Draw until the process has ended and said all; whether it did in time."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            alive = self.pump(0.2)
            if self._process.poll() is not None:
                while alive and select.select([self._master], [], [], 0)[0]:
                    alive = self.pump(0)
                return True
        return self._process.poll() is not None


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    """As in a person's terminal: none of what makes programs think that they are looked at otherwise."""
    said = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "TERM", "_TYPER_FORCE_DISABLE_TERMINAL"}
    kept = {name: value for name, value in os.environ.items() if name not in said}
    return kept | {"TERM": "xterm-256color"} | (more or {})


def _take_terminal() -> None:
    """In the child: the pseudo-terminal is its controlling one, so that Ctrl-C there is a signal here."""
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a shell in the background has them ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
