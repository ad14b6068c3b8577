"""Checkpoints that are whole or not there: staged, fsynced, sealed with digests, renamed.

transformers writes `checkpoint-N` in place, takes the highest number for the last, and goes on without an
error when half of one is missing. Here a checkpoint counts when every file that its seal names is there with
the digest that the seal says.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import digest
from finetune.staging import durable, sync

SEAL = "checkpoint.json"
PENDING = "evaluation_pending"
"""A note of a checkpoint: the evaluation that was due at its step did not come to its end."""

_STAGED = ".partial"


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint: its folder, the steps that were finished, and what its seal carries besides."""

    folder: Path
    step: int
    notes: dict[str, Any]


def folder_of(parent: Path, step: int) -> Path:
    return parent / f"step-{step:08d}"


def staged(parent: Path, step: int) -> Path:
    """Where the checkpoint of `step` is written before it is sealed."""
    return folder_of(parent, step).with_suffix(_STAGED)


def stage(parent: Path, step: int) -> Path:
    """An empty folder to write a checkpoint into."""
    folder = staged(parent, step)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def seal(written: Path, step: int, notes: dict[str, Any]) -> Checkpoint:
    """Make the staged files durable, name their digests, and give the folder its name in one rename."""
    files = sorted(path for path in written.iterdir() if path.is_file())
    content = {
        "step": step,
        "notes": notes,
        "files": {path.name: {"sha256": digest.of_file(path), "size": path.stat().st_size} for path in files},
    }
    (written / SEAL).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    durable(written)
    folder = folder_of(written.parent, step)
    shutil.rmtree(folder, ignore_errors=True)
    written.rename(folder)
    sync(folder.parent)
    return Checkpoint(folder, step, notes)


def newest(parent: Path) -> tuple[Checkpoint | None, list[str]]:
    """The last checkpoint that verifies, and for each later one a sentence that says why it does not."""
    refused: list[str] = []
    for folder in _folders(parent):
        try:
            return verify(folder), refused
        except ValueError as error:
            refused.append(f"{folder.name} is not used: {error}")
    return None, refused


def verify(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`; ValueError says what is missing or changed."""
    try:
        content = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        step, notes, files = int(content["step"]), content["notes"], content["files"].items()
        expected = [(name, entry["size"], entry["sha256"]) for name, entry in files]
    except FileNotFoundError:
        raise ValueError(f"{SEAL} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{SEAL} is damaged") from None
    for name, size, sha256 in expected:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if path.stat().st_size != size:
            raise ValueError(f"{name} has {path.stat().st_size} bytes instead of {size}")
        if digest.of_file(path) != sha256:
            raise ValueError(f"{name} has changed since it was written")
    return Checkpoint(folder, step, notes)


def prune(parent: Path, keep: int, best: int | None) -> None:
    """Remove all but the newest `keep` checkpoints and the one of step `best`, and what was never sealed."""
    spare = None if best is None else folder_of(parent, best)
    for leftover in parent.glob(f"*{_STAGED}"):
        shutil.rmtree(leftover)
    for folder in list(_folders(parent))[keep:]:
        if folder != spare:
            shutil.rmtree(folder)


def _folders(parent: Path) -> Iterator[Path]:
    """Newest first; what was never sealed does not count."""
    found = (path for path in parent.glob("step-*") if path.is_dir() and path.suffix != _STAGED)
    yield from sorted(found, reverse=True)
