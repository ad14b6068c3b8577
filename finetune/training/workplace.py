"""The folder of a run that is not finished: what it has so far, and whose it is.

`<output>.unfinished` holds the checkpoints, metrics and log of one run. It stays when the run ends early,
and goes when the adapter is there. One process at a time works in it.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from finetune.intake import SKIPPED
from finetune.recipe import Recipe
from finetune.staging import durable, sync
from finetune.training import processes
from finetune.training.checkpoint import PENDING, SEAL, Checkpoint

_OWNER = "run.json"
# May change between two sittings of a run: they say nothing about what is learnt.
FREE: Any = {"track": True, "train": {"checkpoints": True, "micro_tokens": True}}


@dataclass(frozen=True)
class Workplace:
    folder: Path
    output: Path

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "train.log"

    @property
    def has_work(self) -> bool:
        """Is there a checkpoint to go on from?"""
        return any(self.checkpoints.glob(f"*/{SEAL}"))

    def clear(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def own(self, **facts: Any) -> None:
        """Say whose run this is; UserError when it was another one before."""
        known = self._read()
        for name, value in facts.items():
            if name in known and known[name] != value:
                changed = ", ".join(_differences(known[name], value, name))
                raise UserError(
                    f"{self.folder} holds a run that began with another {changed}; put that back and run"
                    " again to finish it, or begin anew with --restart."
                )
        self.note(**facts)

    def note(self, **facts: Any) -> None:
        """Remember facts for a later sitting."""
        if processes.first():
            path = self.folder / _OWNER
            staged = path.with_suffix(".partial")
            staged.write_text(json.dumps(self._read() | facts, indent=2) + "\n", encoding="utf-8")
            staged.rename(path)

    def fact(self, name: str) -> Any:
        """A fact of this or an earlier sitting, or None."""
        return self._read().get(name)

    def rewind(self, found: Checkpoint | None) -> None:
        """Forget metrics after the checkpoint that the run goes on from: they come again."""
        if not processes.first():
            return
        step, pending = (found.step, bool(found.notes.get(PENDING))) if found else (0, False)
        if found:
            self.note(resumed_at=[*(self.fact("resumed_at") or []), step])
        kept = []
        for row in self.measured():
            again = pending and row["step"] == step and "heldout_loss" in row
            if row["step"] <= step and not again:
                kept.append(json.dumps(row) + "\n")
        staged = self.metrics.with_suffix(".partial")
        staged.write_text("".join(kept), encoding="utf-8")
        staged.rename(self.metrics)

    def measured(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a crash cut off is left out."""
        rows = []
        if self.metrics.is_file():
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    rows.append(json.loads(line))
        return rows

    def finish(self, adapter: Path) -> None:
        """Give the whole `adapter` folder its name, and clear the rest away."""
        durable(adapter)
        adapter.rename(self.output)
        sync(self.output.parent)
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, adapter: Path) -> None:
        """Copy what a person may want to see again into the `adapter` folder."""
        for name in ("metrics.jsonl", "train.log", SKIPPED):
            if (self.folder / name).is_file():
                shutil.copy(self.folder / name, adapter / name)
        for name in ("tensorboard", "wandb"):
            if (self.folder / name).is_dir():
                shutil.copytree(self.folder / name, adapter / name, symlinks=True)

    def _read(self) -> dict[str, Any]:
        path = self.folder / _OWNER
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return known


def unfinished(output: Path) -> Path:
    return output.with_name(f"{output.name}.unfinished")


@contextmanager
def workplace(recipe: Recipe, restart: bool = False) -> Iterator[Workplace]:
    """The workplace of `recipe`, locked; UserError when its output exists or another process works here."""
    output = recipe.folder
    if not processes.first():  # the first process has the lock
        yield Workplace(unfinished(output), output)
        return
    if output.exists():
        raise UserError(f"{output} exists already; remove it, or give the recipe another `name` or `output`.")
    folder = unfinished(output)
    new = [parent for parent in folder.parents if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another run is making {output} right now; wait for it, or stop it first."
            ) from None
        place = Workplace(folder, output)
        if restart or not place.has_work:
            place.clear()
        try:
            place.own(recipe=recipe.model_dump(mode="json", exclude=FREE))
            yield place
        except (UserError, SystemExit):
            if not place.has_work:
                shutil.rmtree(folder)
                _clear(new)
            raise
    finally:
        os.close(lock)


def _clear(folders: list[Path]) -> None:
    """Remove folders that this run made, the innermost first, where nothing else lies in them by now."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _differences(before: Any, now: Any, name: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in before.keys() | now.keys() if before.get(key) != now.get(key)]
        return [
            found
            for key in sorted(keys)
            for found in _differences(
                before.get(key), now.get(key), key if name == "recipe" else f"{name}.{key}"
            )
        ]
    return [f"{name} ({before!r}, now {now!r})" if not isinstance(before, list | dict) else name]
