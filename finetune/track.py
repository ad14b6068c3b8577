"""What a run says while it goes: a progress line, `metrics.jsonl`, and wandb where it is wanted."""

import json
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from finetune.recipe import Recipe


class Tracker(TrainerCallback):
    """One line a step into `metrics.jsonl`: step, loss, learning rate, gradient norm, tokens, seconds."""

    def __init__(self, metrics: Path, tokens_per_step: float, console: Console) -> None:
        self._path = metrics
        self._tokens = tokens_per_step
        self._console = console
        self._progress: Progress | None = None
        self._started = 0.0
        self._lines = 0
        self.last: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = time.monotonic()
        columns = (
            TextColumn("training"),
            BarColumn(28),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:.0f} tok/s "),
            TimeRemainingColumn(),
        )
        live = self._console.is_terminal
        self._progress = Progress(*columns, console=self._console, disable=not live)
        self._progress.start()
        self._progress.add_task("training", total=state.max_steps, loss=float("nan"), speed=0.0)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" not in logs:
            return
        seconds = time.monotonic() - self._started
        speed = self._tokens * state.global_step / seconds
        self.last = {
            "step": state.global_step,
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": float(logs["grad_norm"]),
            "tokens_per_second": round(speed, 1),
            "seconds": round(seconds, 2),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.last) + "\n")
        if self._progress is not None:
            self._progress.update(
                self._progress.task_ids[0], completed=state.global_step, loss=logs["loss"], speed=speed
            )
        self._say_sometimes(state.global_step, state.max_steps, seconds)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _say_sometimes(self, step: int, steps: int, seconds: float) -> None:
        """Without a terminal: a line about every 30 seconds."""
        if self._console.is_terminal or (seconds < 30 * self._lines and step < steps):
            return
        self._lines = int(seconds // 30) + 1
        left = seconds / step * (steps - step)
        self._console.print(
            f"step {step}/{steps}  loss {self.last['loss']:.3f}"
            f"  {self.last['tokens_per_second']:.0f} tok/s  {left:.0f} s left",
            highlight=False,
        )


def wandb_callback(recipe: Recipe, folder: Path) -> list[TrainerCallback]:
    """transformers' wandb callback, offline unless a key is there; empty when the recipe says off."""
    if recipe.track.wandb == "off":
        return []
    from transformers.integrations import WandbCallback

    if "WANDB_API_KEY" not in os.environ:
        os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_PROJECT", recipe.track.project)
    os.environ.setdefault("WANDB_DIR", str(folder))
    os.environ.setdefault("WANDB_SILENT", "true")
    return [WandbCallback()]
