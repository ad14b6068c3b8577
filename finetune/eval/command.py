"""`finetune eval`: a suite asked of the served models, and a report of what they answered."""

import asyncio
from pathlib import Path

import stamina
from rich.console import Console
from rich.table import Table

from data.report import EvalReport, Metric
from finetune.eval import html, questions, report, runner, served
from finetune.eval.endpoint import Endpoint
from finetune.eval.journal import Journal
from finetune.eval.question import Question
from finetune.eval.suite import Suite, load
from finetune.pages import write


def evaluate(suite: Path, models: list[str], url: str, out: Path) -> EvalReport:
    """Ask, score, compare; leaves `report.json`, `report.html` and `answers.jsonl` in `out`.

    `models[0]` is what the others are compared with; `base` means the endpoint's base. Running it again
    after a stop asks only for what is missing. UserError for a bad suite, data, model name or endpoint.
    """
    # Retries show in the time left; a line for each would tear the progress bars.
    stamina.instrumentation.set_on_retry_hooks([])
    chosen = load(suite)
    asked = questions.load(chosen)
    found = asyncio.run(_evaluate(chosen, asked, models, url, out / "answers.jsonl"))
    write(out / "report.json", found.model_dump_json(indent=1) + "\n")
    write(out / "report.html", html.render(found))
    _print(found, out)
    return found


async def _evaluate(
    chosen: Suite, asked: list[Question], models: list[str], url: str, answers: Path
) -> EvalReport:
    started = report.now()
    async with Endpoint(url, chosen.timeout_s, chosen.concurrency) as endpoint:
        who = await served.resolve(endpoint, models)
        journal = Journal(answers)
        try:
            replies = await runner.run(endpoint, chosen, asked, who, journal)
        finally:
            journal.close()
        return report.build(chosen, endpoint.url, who, asked, replies, started)


def _print(found: EvalReport, out: Path) -> None:
    tasks = [metric.task for metric in found.metrics if metric.category is None]
    table = Table("model", *dict.fromkeys(tasks), title=f"{found.suite.name}, with 95% intervals")
    for model in found.models:
        table.add_row(model.name, *(_cell(found.metric(model.name, task)) for task in dict.fromkeys(tasks)))
        table.add_section()
    console = Console()
    console.print(table)
    console.print(f"Report: {out / 'report.html'}", soft_wrap=True)


def _cell(metric: Metric | None) -> str:
    """Value, interval and sizes, one a line."""
    if metric is None:
        return "–"
    share = metric.measure != "perplexity"
    shown, spread = "nothing scored", ""
    if metric.value is not None:
        shown = {
            "accuracy": f"{metric.value:.1%} right",
            "score": f"score {metric.value:.1%}",
            "perplexity": f"perplexity {metric.value:.2f}",
        }[metric.measure]
    if metric.low is not None and metric.high is not None:
        spread = (
            f"{metric.low:.1%} to {metric.high:.1%}\n"
            if share
            else f"{metric.low:.2f} to {metric.high:.2f}\n"
        )
    missing = f", {metric.unscored} unscored" if metric.unscored else ""
    return f"{shown}\n{spread}n = {metric.n}{missing}"
