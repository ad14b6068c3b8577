"""`finetune eval`: a suite asked of the served models, and a report of what they answered."""

import asyncio
from contextlib import closing
from pathlib import Path

import stamina
from rich.console import Console

from data.home import home, private
from data.report import EvalReport
from finetune.eval import again, console, html, markdown, questions, report, runner, served
from finetune.eval.answers import AnswerCache
from finetune.eval.endpoint import Endpoint
from finetune.eval.journal import Journal
from finetune.eval.question import Question
from finetune.eval.suite import Suite, load
from finetune.pages import write


def evaluate(suite: Path, models: list[str], url: str, out: Path, fresh: bool = False) -> EvalReport:
    """Ask, score, compare; leaves `report.json`, `.html` and `.md`, and `answers.jsonl` in `out`.

    Each model is compared with every one before it; `base` means the endpoint's base. `suite` may be an
    earlier report, whose suite and models are asked again. A second run asks only for what is not known
    yet, `fresh` for everything. UserError for a bad suite, data, model name or endpoint.
    """
    # Retries show in the time left; a line for each would tear the progress bars.
    stamina.instrumentation.set_on_retry_hooks([])
    if suite.suffix == ".json":
        chosen, pinned = again.suite_of(suite)
        models = models or pinned
    else:
        chosen = load(suite)
    asked = questions.load(chosen)
    answers = out / "answers.jsonl"
    if fresh and (out / "report.json").exists():
        # Of a run that ended; one that was stopped goes on.
        answers.unlink(missing_ok=True)
        (out / "report.json").unlink()
    cache = home() / "answers.sqlite"
    private(cache)
    with AnswerCache(cache, forgotten=fresh) as known, closing(Journal(answers)) as journal:
        found = asyncio.run(_evaluate(chosen, asked, models, url, journal, known))
    write(out / "report.html", html.render(found))
    write(out / "report.md", markdown.render(found))
    write(out / "report.json", found.model_dump_json(indent=1) + "\n")
    terminal = Console()
    names = [model.name for model in found.models]
    console.show(terminal, found.suite.name, names, found.metrics, found.differences)
    terminal.print(f"Report: {out / 'report.html'}", soft_wrap=True)
    return found


async def _evaluate(
    chosen: Suite,
    asked: list[Question],
    models: list[str],
    url: str,
    journal: Journal,
    cache: AnswerCache,
) -> EvalReport:
    started = report.now()
    async with Endpoint(url, chosen.timeout_s, chosen.concurrency) as endpoint:
        who = await served.resolve(endpoint, models)
        replies = await runner.run(endpoint, chosen, asked, who, journal, cache)
        return report.build(chosen, endpoint.url, who, asked, replies, started)
