"""Calm progress: one line that moves on a terminal, one line a step elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Step(Protocol):
    def __call__(self, text: str, advance: bool = True) -> None: ...


@contextmanager
def steps(title: str, total: int, console: Console) -> Iterator[Step]:
    """Progress over `total` named steps; `step(text)` begins the next, `advance=False` renames this one."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    started = time.monotonic()
    done = -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def step(text: str, advance: bool = True) -> None:
            nonlocal done
            if advance:
                done += 1
                bar.update(task, completed=done)
                if not console.is_terminal:
                    console.print(f"{time.monotonic() - started:4.0f} s  {title}: {text}", highlight=False)
            bar.update(task, description=f"{title}: {text}")

        yield step
        bar.update(task, completed=total, description=title)
