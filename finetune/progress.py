"""Calm progress: one line that moves on a terminal, one line a step elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn


class Step(Protocol):
    def __call__(self, text: str, advance: bool = True) -> None: ...


def moving(*columns: ProgressColumn, console: Console, transient: bool = False, live: bool) -> Progress:
    """Return a progress display that is shown where `live`, and leaves `sys.stdout` and `sys.stderr` alone.

    By default rich's displays replace both by writers to their own console: what `quiet` sent to a log,
    by its descriptors, would be back on the terminal, torn through the bar.
    """
    return Progress(
        *columns,
        console=console,
        transient=transient,
        disable=not live,
        redirect_stdout=False,
        redirect_stderr=False,
    )


@contextmanager
def steps(title: str, total: int, console: Console) -> Iterator[Step]:
    """Progress over `total` named steps; `step(text)` begins the next, `advance=False` renames this one.

    On a terminal it leaves no line behind: what came of the steps is for the caller to say.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    started = time.monotonic()
    done = -1
    live = console.is_terminal and not console.quiet
    with moving(*columns, console=console, transient=True, live=live) as bar:
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
