"""A person at a terminal, played: commands typed in a folder, and what stood on the screen after each."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.line import free_port
from bench.terminal import CTRL_C, Terminal
from data.errors import UserError

COLUMNS, ROWS = 100, 40
PATIENCE = 3600
"""Seconds for a command: a training on a busy machine."""


class Desk:
    """`folder` is where commands are typed; `home` is `$ENXERTO_HOME` there, and `path` where programs are.

    `transcript` is what a reader gets: `$ line` and the screen as it stood when the command ended.
    """

    def __init__(self, folder: Path, home: Path, path: Path, columns: int = COLUMNS) -> None:
        self.folder, self.home = folder, home
        self._columns = columns
        self.port = free_port()
        """Where its server is to listen: commands find it there by themselves."""
        self._environment = {
            "ENXERTO_HOME": str(home),
            "ENXERTO_URL": f"http://127.0.0.1:{self.port}",
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "HF_HUB_OFFLINE": "1",
            "MAKELEVEL": "0",  # of the make that this may run under
            "MAKEFLAGS": "",
        }
        self.transcript: list[str] = []
        self.codes: dict[str, int] = {}
        """The exit code of each line, by the line."""

    def note(self, text: str) -> None:
        """What a person would say of it; a comment in the transcript."""
        self.transcript += ["", *(f"# {line}" for line in text.splitlines())]

    def write(self, name: str, text: str) -> Path:
        """Save a file as from an editor; the transcript shows it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.transcript += ["", f"$ cat {name}", *self._told(text.rstrip("\n").splitlines())]
        return path

    def type(
        self, line: str, code: int | None = 0, keys: Sequence[tuple[str, str]] = (), seconds: float = PATIENCE
    ) -> str:
        """Run a line to its end; returns the screen. `keys` are what to wait for, and what is pressed then.

        UserError where it ends with another exit code than `code`; None takes any.
        """
        with self._terminal(line) as terminal:
            for text, pressed in keys:
                terminal.wait_for(text, seconds)
                terminal.send(pressed)
            ended = terminal.finish(seconds)
            self._keep(line, terminal.lines)
            self.codes[line] = ended
            if code is not None and ended != code:
                raise UserError(f"`{line}` ended with {ended}, not {code}; it said:\n{terminal.text}")
            return terminal.text

    @contextmanager
    def beside(self, line: str, until: str, seconds: float = PATIENCE) -> Iterator[None]:
        """Run a line in a second terminal from when it shows `until` to the end of the block, then Ctrl-C."""
        with self._terminal(f"exec {line}") as terminal:  # or Ctrl-C would end the shell first
            terminal.wait_for(until, seconds)
            self._keep(f"{line}      # in a second terminal", terminal.lines)
            yield
            terminal.send(CTRL_C)
            ended = terminal.finish(120)
            self.codes[line] = ended
            last = [text for text in terminal.lines if text][-1:]
            self.transcript += ["", "# in the second terminal, Ctrl-C:", *self._told(last)]
            if ended:
                raise UserError(f"`{line}` ended with {ended}; it said:\n{terminal.text}")

    def _terminal(self, line: str) -> Terminal:
        return Terminal(["sh", "-c", line], self._columns, ROWS, self.folder, self._environment)

    def _keep(self, line: str, shown: list[str]) -> None:
        self.transcript += ["", f"$ {line}", *self._told(shown)]

    def _told(self, lines: list[str]) -> list[str]:
        """Without the places of this machine, which a terminal may have broken at its edge."""
        places = {str(self.home): "~/.cache/enxerto", str(self.folder): ".", str(Path.home()): "~"}
        text = "\n".join(lines)
        for place, name in places.items():
            text = re.sub("\n?".join(map(re.escape, place)), name, text)
        return text.split("\n")


def linked_home(home: Path, bases: Path) -> Path:
    """A home of its own, in which the bases that are built already are found."""
    (home / "bases").mkdir(parents=True, exist_ok=True)
    for base in bases.iterdir() if bases.is_dir() else ():
        link = home / "bases" / base.name
        if not link.exists():
            link.symlink_to(base.resolve())
    return home
