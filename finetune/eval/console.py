"""Metrics and differences as tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from data import phrases
from data.report import Difference, Metric


def show(
    console: Console, title: str, models: Sequence[str], metrics: list[Metric], differences: list[Difference]
) -> None:
    """Whole tasks only; categories are for the pages."""
    whole = {(metric.model, metric.task): metric for metric in metrics if metric.category is None}
    tasks = list(dict.fromkeys(task for _, task in whole))
    table = Table("model", *tasks, title=f"{title}, with 95% intervals")
    for model in models:
        table.add_row(model, *(_cell(whole.get((model, task))) for task in tasks))
        table.add_section()
    console.print(table)
    compared = [found for found in differences if found.category is None]
    if not compared:
        return
    table = Table("difference", "task", "", "95% interval", "pairs", "could see", box=None)
    for found in compared:
        pair = f"{found.model} against {found.against}"
        seen = phrases.visible(found)
        table.add_row(pair, found.task, phrases.change(found), phrases.interval(found), str(found.n), seen)
    console.print(table)


def _cell(metric: Metric | None) -> str:
    """Value, interval and sizes, one a line."""
    if metric is None:
        return "–"
    if metric.value is None:
        return f"nothing scored\n{phrases.counted(metric)}"
    unit = {"accuracy": " right", "score": "", "perplexity": " perplexity"}[metric.measure]
    return f"{phrases.value(metric)}{unit}\n{phrases.interval(metric)}\n{phrases.counted(metric)}"
