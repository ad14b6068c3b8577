"""What tests of several packages share: the embedded base, and one real server for the whole session."""

import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from bench.parent import die_with_parent
from bench.ready import wait_until_ready
from data.cores import share_cores
from data.home import base_folder
from data.manifest import BaseManifest, read_base
from tests.forked import Forge, forging
from tests.waiting import PATIENCE

# A hub that cannot be reached must not be asked.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# The tests that train do so in this process: as the commands, and a machine that runs tests has other work.
share_cores()

# An example that takes long may only have waited for the processor.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

BASE = "smollm2-135m-instruct-awq"
MAX_LORAS = 2
MAX_LEN = 2048
START_SECONDS = 400
"""A loaded machine of 2 cores needs a multiple of the 20 s that an idle one does."""


@dataclass(frozen=True)
class Server:
    """A running `serve up` with a registry of its own."""

    url: str
    base: BaseManifest
    folder: Path
    log: Path
    key: str
    """The API key that it made for its own user."""
    process: int

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


ENGINE = "tests/e2e"
TOGETHER = (ENGINE, "tests/adopted", "tests/finetune/training", "tests/finetune/leave")
"""Folders whose tests share what takes long to make."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For two processes (`-n 2`), a folder or a file at a time: one gets all that asks the real server, and
    meanwhile the other one goes through the rest."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = file.rpartition("/")[0]
            return folder if folder in TOGETHER else file

    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The engine's tests take longest, and so begin first."""
    items.sort(key=lambda item: not item.nodeid.startswith(ENGINE))


@pytest.fixture(scope="module", autouse=True)
def no_others_garbage() -> None:
    """Leave what other modules made out of this one's collections, which would walk through a million objects
    of libraries and tests for as long as a second, here or in a server's thread."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What is still frozen at the end of the process would be told as leaked by libraries of C++."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def base() -> Path:
    """The folder of the embedded base, which `make test` builds before the tests."""
    folder = base_folder(BASE)
    assert (folder / "base.json").is_file(), f"run `make base BASE={BASE}` first"
    return folder


@pytest.fixture(scope="session")
def server(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server on the real base, over HTTP, as a user starts it."""
    home = tmp_path_factory.mktemp("home")
    (home / "bases").mkdir()
    (home / "bases" / BASE).symlink_to(base.resolve())
    with serving(home, base, "--max-loras", str(MAX_LORAS), "--max-model-len", str(MAX_LEN)) as server:
        yield server


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """`python -m finetune` without the seconds that its imports take."""
    with forging() as forge:
        yield forge


@contextmanager
def serving(home: Path, base: Path, *options: str) -> Iterator[Server]:
    """`serve up` on the base in that folder, with a free port; commands send its key meanwhile."""
    port = free_port()
    command = [sys.executable, "-m", "serve", "up", "--port", str(port), "--base", str(base), *options]
    # Ctrl-C reaches this process alone, which then ends the server once and in order.
    process = subprocess.Popen(
        command,
        env=os.environ | {"ENXERTO_HOME": str(home), "VLLM_LOGGING_LEVEL": "INFO"},
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    url, log = f"http://127.0.0.1:{port}", home / "logs" / f"serve-{port}.log"
    others_key = os.environ.pop("ENXERTO_API_KEY", None)
    try:
        wait_until_ready(process, url, START_SECONDS, log)
        key = (home / "key").read_text().strip()
        # What the commands send, here as on a user's own machine.
        os.environ["ENXERTO_API_KEY"] = key
        yield Server(url, read_base(base), base, log, key, process.pid)
    finally:
        os.environ.pop("ENXERTO_API_KEY", None)
        if others_key:
            os.environ["ENXERTO_API_KEY"] = others_key
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=PATIENCE) == 0, "the server did not stop cleanly"
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
