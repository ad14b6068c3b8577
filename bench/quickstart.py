"""`make quickstart`: the whole line once, with the commands that a person would type.

base -> train -> serve -> push -> chat -> evaluate -> summary. What an earlier run finished is not done again.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from rich.console import Console

from bench.command import run
from bench.line import server, typed
from bench.results import Goal, show, write
from data.manifest import read_base
from data.report import EvalReport, read_report
from finetune import recipe as recipes
from finetune.base.resolve import find

RECIPE = Path("recipes/quickstart.yaml")
SUITE = Path("recipes/evals/quickstart.yaml")
KNOWN, UNSEEN, CHAT = "known tools", "unseen tools", "held-out chat"
QUESTION = "What is the capital of Portugal?"
NEXT = "make serve", ".venv/bin/serve chat support"
"""What a person types then, in two terminals."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restart", action="store_true", help="train and evaluate again")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="another recipe, as tests have")
    parser.add_argument("--suite", type=Path, default=SUITE, help="another suite")
    given = parser.parse_args()
    started = time.monotonic()
    recipe = recipes.load(given.recipe)
    folder = recipe.folder.parent
    if given.restart:
        for old in (recipe.folder, folder / "eval"):
            shutil.rmtree(old, ignore_errors=True)
    _step(1, f"the base: {recipe.base.name}")
    typed("finetune", "base", recipe.base.name)
    _step(2, f"training: {given.recipe}")
    _train(given.recipe, recipe, folder)
    _step(3, "serving")
    with server(recipe.base.name) as url:
        _step(4, "pushing the adapter; the running server loads it")
        typed("serve", "push", str(recipe.folder), "--name", "support", "--url", url)
        _step(5, "talking to it")
        typed("serve", "chat", "support", QUESTION, "--max-tokens", "60", "--temperature", "0", "--url", url)
        _step(6, f"evaluating base and adapter: {given.suite}")
        asked = [
            "eval",
            str(given.suite),
            "--models",
            "base,support",
            "--url",
            url,
            "--out",
            str(folder / "eval"),
        ]
        typed("finetune", *asked, *(["--fresh"] if given.restart else []))
    report = read_report(folder / "eval" / "report.json")
    _examples(report)
    goals = _goals(report, time.monotonic() - started) if given.recipe == RECIPE else []
    _summary(report, goals, folder)


def _train(path: Path, recipe: recipes.Recipe, folder: Path) -> None:
    """Train, unless the adapter of this very recipe on this very base is there."""
    manifest = recipe.folder / "manifest.json"
    if manifest.is_file():
        made = json.loads(manifest.read_text())
        base = read_base(find(recipe.base.name))
        same = made["recipe"] == recipe.model_dump(mode="json")
        if same and made["base"]["fingerprint"] == base.fingerprint:
            console.print(f"{recipe.folder} is already trained (make quickstart RESTART=1 trains again)")
            return
        aside = recipe.folder.with_name(f"adapter-{made['created'].replace(':', '')}")
        console.print(f"the recipe or the base changed; the earlier adapter is kept in {aside}")
        recipe.folder.rename(aside)
        shutil.rmtree(folder / "eval", ignore_errors=True)
    typed("finetune", "train", str(path))


def _goals(report: EvalReport, seconds: float) -> list[Goal]:
    def share(model: str, task: str) -> float:
        metric = report.metric(model, task)
        return metric.value if metric and metric.value is not None else float("nan")

    def at_least(model: str, task: str, goal: float) -> Goal:
        found = share(model, task)
        return Goal(f"{task}, adapter", f">= {goal:.0%}", f"{found:.0%}", found >= goal)

    def below(task: str) -> Goal:
        return Goal(f"{task}, base", "< 15%", f"{share('base', task):.0%}", share("base", task) < 0.15)

    ratio = report.difference("support", CHAT)
    worse = ratio.value if ratio and ratio.value is not None else float("nan")
    return [
        at_least("support", KNOWN, 0.70),
        at_least("support", UNSEEN, 0.45),
        below(KNOWN),
        below(UNSEEN),
        Goal("chat perplexity, adapter / base", "<= 1.05", f"{worse:.3f}", worse <= 1.05),
        Goal("time of this run", "< 20 min", f"{seconds / 60:.1f} min", seconds < 1200),
    ]


def _summary(report: EvalReport, goals: list[Goal], folder: Path) -> None:
    if goals:
        show(console, "goals", goals)
        if not all(goal.met for goal in goals):
            console.print(
                "[dim]missed: the project's own goal for this recipe on 2 quiet cores. Nothing failed: the "
                "adapter is trained and served, and the report has what it can and cannot.[/dim]"
            )
    rows = [metric.model_dump(mode="json") for metric in report.metrics]
    write(folder / "summary.json", "make quickstart", rows, goals)
    console.print(
        f"\nreport   {folder}/eval/report.html\nadapter  {folder}/adapter\nsummary  {folder}/summary.json"
    )
    console.print(f"\nNow try it:  {NEXT[0]}   and, in another terminal,   {NEXT[1]}")


def _examples(report: EvalReport) -> None:
    """One question about tools that the adapter gets right, where there is one, and one of plain chat."""
    tools = [sample for sample in report.samples if sample.kind == "tools"]
    right = [sample for sample in tools if (result := sample.results.get("support")) and result.score == 1]
    for sample in [*(right or tools)[:1], *[one for one in report.samples if one.kind == "chat"][:1]]:
        console.print(f"\n{_short(sample.messages[-1]['content'], 160)}", style="bold", markup=False)
        for model, result in sample.results.items():
            answer = result.got
            calls = " ".join(f"{call.name}({call.arguments})" for call in answer.calls) if answer else ""
            words = (answer.content or "").strip() if answer else result.why
            console.print(f"  [cyan]{model:<8}[/cyan] ", end="")
            console.print(_short(f"{words} {calls}", 200), markup=False)
    console.print(
        "[dim]Examples, cut; a model of 135 million parameters knows little and repeats itself. All answers "
        "are in the report.[/dim]\n"
    )


def _short(text: str, most: int) -> str:
    """On one line, and cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _step(number: int, text: str) -> None:
    console.print(f"\n[bold]{number}/6  {text}[/bold]")


if __name__ == "__main__":
    run(main, console, "interrupted; run it again to go on")
