"""What a run says while it goes: a progress line, `metrics.jsonl`, and the trackers that are wanted."""

import json
import os
import resource
import secrets
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from finetune.progress import moving
from finetune.recipe import Recipe
from finetune.training import processes
from finetune.training.workplace import Workplace


class Other(Protocol):
    """Somebody else who hears every line."""

    def say(self, line: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


_MORE = ("tokens", "learnt", "reward_accuracy", "reward_margin")


class Tracker(TrainerCallback):
    """One line a step into `metrics.jsonl`, and one for each evaluation.

    A step's line: step, loss, learning_rate, grad_norm, tokens, learnt_tokens, tokens_per_second (of this
    step), seconds (of this sitting and those before), memory_gb (the process's peak). An evaluation's: step,
    heldout_loss, heldout_tokens, best, evaluation_seconds, seconds.
    """

    def __init__(self, place: Workplace, console: Console, others: list[Other]) -> None:
        self._path = place.metrics
        self._console = console
        self._others = others
        self._progress: Progress | None = None
        self._before = self._lines = 0.0
        self._started = self._last = 0.0
        self._heldout = ""
        self.last: dict[str, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = self._last = time.monotonic()
        self._before = seconds_so_far(self._path)
        columns = (
            TextColumn("training"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        live = self._console.is_terminal and processes.first()
        self._progress = moving(*columns, console=self._console, live=live)
        self._progress.start()
        self._progress.add_task("training", total=state.max_steps, completed=state.global_step, figures="")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" not in logs:
            return
        now = time.monotonic()
        took, self._last = now - self._last, now
        more = {"learnt_tokens" if name == "learnt" else name: logs[name] for name in _MORE if name in logs}
        self.last = {
            "step": state.global_step,
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": float(logs["grad_norm"]),
            **{name: int(value) if "tokens" in name else value for name, value in more.items()},
            "tokens_per_second": round(logs["tokens"] / took, 1),
            "seconds": round(self._seconds(), 2),
            "memory_gb": round(peak_memory() / 1e9, 3),
        }
        self._write(self.last)
        if self._progress is not None:
            speed = f"{self.last['tokens_per_second']:.0f} tok/s"
            figures = f"loss {logs['loss']:.3f}{self._heldout}  {speed} "
            self._progress.update(self._progress.task_ids[0], completed=state.global_step, figures=figures)
        self._say_sometimes(state.global_step, state.max_steps, now - self._started)

    def evaluated(self, line: dict[str, Any]) -> None:
        """Note an evaluation; the time that it took is none of the next step's."""
        self._last = time.monotonic()
        self._heldout = f"  held-out {line['heldout_loss']:.3f}"
        self._write(line | {"seconds": round(self._seconds(), 2)})
        if processes.first():
            best = ", the best so far" if line["best"] else ""
            self._console.print(
                f"step {line['step']}  held-out loss {line['heldout_loss']:.4f}{best}", highlight=False
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last = time.monotonic()

    def close(self) -> None:
        """Leave the terminal as it was, and let the others finish, however the run ended."""
        if self._progress is not None:
            self._progress.stop()
        for other in self._others:
            other.close()

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _write(self, line: dict[str, Any]) -> None:
        if not processes.first():
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for other in self._others:
            other.say(line)

    def _say_sometimes(self, step: int, steps: int, seconds: float) -> None:
        """Without a terminal: a line about every 30 seconds."""
        quiet = self._console.is_terminal or not processes.first()
        if quiet or (seconds < 30 * self._lines and step < steps):
            return
        self._lines = int(seconds // 30) + 1
        left = self._seconds() / step * (steps - step)
        self._console.print(
            f"step {step}/{steps}  loss {self.last['loss']:.3f}"
            f"  {self.last['tokens_per_second']:.0f} tok/s  {left:.0f} s left",
            highlight=False,
        )


def seconds_so_far(metrics: Path) -> float:
    """What earlier sittings of a run took."""
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    return float(json.loads(lines[-1])["seconds"]) if lines else 0.0


def peak_memory() -> int:
    """The most bytes that this process held: of the GPU's memory where there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def trackers(recipe: Recipe, place: Workplace) -> list[Other]:
    """wandb and TensorBoard, as the recipe wants them; both write into the run's folder."""
    found: list[Other] = []
    if recipe.track.tensorboard == "on":
        found.append(_TensorBoard(place.folder / "tensorboard"))
    if recipe.track.wandb != "off":
        found.append(_Wandb(recipe, place))
    return found


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def say(self, line: dict[str, Any]) -> None:
        kind = "heldout" if "heldout_loss" in line else "train"
        for key, value in line.items():
            if key != "step":
                self._writer.add_scalar(f"{kind}/{key}", value, line["step"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """Offline unless a key is there; a resumed run goes on under its id."""

    def __init__(self, recipe: Recipe, place: Workplace) -> None:
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if "WANDB_API_KEY" in os.environ else "offline")
        place.note(wandb_run=place.fact("wandb_run") or secrets.token_hex(4))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", recipe.track.project),
            name=recipe.name,
            id=place.fact("wandb_run"),
            resume="allow",
            mode=mode,  # type: ignore[arg-type]
            dir=str(place.folder),
            config=recipe.model_dump(mode="json"),
            # The remote of a git repository may hold a user's name and host.
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )

    def say(self, line: dict[str, Any]) -> None:
        self._run.log({key: value for key, value in line.items() if key != "step"}, step=line["step"])

    def close(self) -> None:
        self._run.finish()
