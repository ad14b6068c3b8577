"""The test's side of `child.py`."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.serve import tiny
from tests.serve.tiny import Base


class ServerDied(Exception):  # noqa: N818 - named for what was found
    """The server ended before it answered; by a signal where `ended` is negative."""

    def __init__(self, ended: int) -> None:
        super().__init__(f"the server ended with {ended}")
        self.ended = ended


@dataclass
class Disks:
    """A registry's folder with a base, and an adapter for each seed; `urls` are of its database and blobs."""

    folder: Path
    urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base: Base = tiny.make_base(self.folder / "base")

    @property
    def registry(self) -> Path:
        return self.folder / "registry"

    @property
    def options(self) -> list[str]:
        """What a command is told to find them."""
        return [word for name, url in self.urls.items() for word in (f"--{name}", url)]

    def adapter(self, seed: int) -> Path:
        """Files to push; the last of several blocks."""
        folder = self.folder / "adapters" / str(seed)
        if not folder.is_dir():
            tiny.make_adapter(folder, self.base, seed)
            (folder / "README.md").write_text(f"{seed}\n" * 20_000)
        return folder


class Servers:
    """One server after another over the same disks, at the same address."""

    def __init__(self, disks: Disks, maker: str = "tests.serve.tiny") -> None:
        """`maker` is the module whose `make_server` makes each."""
        command = [sys.executable, "-m", "tests.serve.crash.child", disks.folder, "--maker", maker]
        # One thread: what is forked must not wait for a thread that it has not.
        self._parent = subprocess.Popen(
            [*command, *disks.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        self.process = 0

    def start(self, failpoint: str = "") -> httpx.Client:
        """A new server, and a client of it with a key for everything."""
        assert self._parent.stdin is not None
        print(failpoint, file=self._parent.stdin, flush=True)
        told = self._told()
        if "ended" in told:
            raise ServerDied(told["ended"])
        self.process = told["process"]
        headers = {"authorization": f"Bearer {told['key']}"}
        return httpx.Client(base_url=told["url"], headers=headers, timeout=60)

    def wait(self) -> int:
        """How the server ended, once it did."""
        ended: int = self._told()["ended"]
        return ended

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)

    def close(self) -> None:
        """End the server and what forks it; a server dies with its parent."""
        self._parent.kill()
        self._parent.communicate(timeout=30)

    def _told(self) -> dict[str, Any]:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        assert line, "the servers' parent ended; what it said is above"
        told: dict[str, Any] = json.loads(line)
        return told
