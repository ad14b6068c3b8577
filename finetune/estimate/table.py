"""An estimate for people: memory, time and disk, and what each stands on."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.estimate.memory import recomputes

if TYPE_CHECKING:
    from finetune.estimate.command import Estimate


def show(made: "Estimate", console: Console) -> None:
    """Print the estimate, and last what follows of it."""
    width, learnt = made.work.widest
    console.print(Text(f"{made.recipe.name} on {made.device.name}", style="bold"))
    notes = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    notes.add_row("base", f"{made.recipe.base.name}, from {made.shape_from}; weights {made.weights}")
    notes.add_row("adapter", f"{made.trained:,} numbers, rank {made.recipe.lora.r}")
    aside = f", {made.rows.heldout:,} held out" if made.rows.heldout else ""
    kind = "pairs" if made.recipe.method == "dpo" else "rows"
    notes.add_row("data", f"{made.rows.count:,} {kind}{aside}: {made.rows.origin}")
    notes.add_row(
        "run",
        f"{made.work.steps:,} steps of {made.work.tokens:,.0f} tokens, {made.work.learnt:,.0f} learnt;"
        f" passes of up to {width:,} tokens, {learnt:,} learnt",
    )
    console.print(notes)
    console.print()
    console.print(_parts("memory, at its peak", made.memory.parts))
    console.print()
    console.print(_parts("disk, at most, beside what is there", made.disk))
    console.print()
    _verdict(made, console)


def _parts(title: str, parts: dict[str, float]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left", show_header=False)
    table.add_column(min_width=36)
    table.add_column(justify="right")
    for name, part in parts.items():
        if part:
            table.add_row(f"  {name}", _gb(part))
    table.add_row("  in all", _gb(sum(parts.values())), style="bold")
    return table


def _verdict(made: "Estimate", console: Console) -> None:
    room = f"{_gb(made.memory.total)} of {_gb(made.device.memory)}"
    if made.time is not None:
        console.print(
            f"time      {_span(made.time.seconds)}: {made.time.tokens_per_second:,.0f} tokens a second"
            f" ({made.time.origin})"
        )
    if made.fits:
        console.print(Text(f"fits      {room}", style="bold green"))
        return
    ways = ["lower train.micro_tokens or data.max_length"]
    ways += [] if recomputes(made.recipe, made.device) else ["set train.gradient_checkpointing: true"]
    ways += ["set base.weights: packed"] if made.weights.startswith("dense") else []
    console.print(Text(f"does not fit: {room}; {', or '.join(ways)}.", style="bold red"))


def _gb(size: float) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e7 else f"{size / 1e6:,.2f} MB"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
