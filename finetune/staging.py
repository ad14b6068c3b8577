"""A folder that is whole or absent, however the process that fills it ends."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import UserError


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its name when the block ends well, and vanishes otherwise.

    What a killed run left behind is cleared first; UserError while another run is still filling its own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}."
    for other in folder.parent.glob(f"{prefix}*"):
        _clear_if_dead(other, folder)
    stage = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    lock = os.open(stage, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield stage
        stage.chmod(0o755)
        durable(stage)
        stage.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def durable(folder: Path) -> None:
    """Wait until the disk has all of `folder`: what is renamed afterwards is whole after a power cut too."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            sync(path)


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear_if_dead(stage: Path, folder: Path) -> None:
    """The kernel drops a dead process's lock, so a locked folder has somebody at work in it."""
    lock = os.open(stage, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another run is making {folder} right now; wait for it, or stop it first.") from None
    finally:
        os.close(lock)
    shutil.rmtree(stage, ignore_errors=True)
