"""`make quickstart`: the whole line once, with the commands that a person would type.

base -> train -> serve -> push -> evaluate -> summary. What an earlier run finished is not done again.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

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
FOLDER = Path("runs/quickstart")
KNOWN, UNSEEN, CHAT = "known tools", "unseen tools", "held-out chat"

NEXT = "make serve", ".venv/bin/serve chat support"
"""What a person types then, in two terminals."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restart", action="store_true", help="train and evaluate again")
    restart = parser.parse_args().restart
    if restart:
        shutil.rmtree(FOLDER, ignore_errors=True)
    started = time.monotonic()
    recipe = recipes.load(RECIPE)
    _step(1, f"the base: {recipe.base.name}")
    typed("finetune", "base", recipe.base.name)
    _step(2, f"training: {RECIPE}")
    _train(recipe)
    _step(3, "serving")
    with server(recipe.base.name) as url:
        _step(4, "pushing the adapter; the running server loads it")
        typed("serve", "push", str(recipe.folder), "--name", "support", "--alias", "default", "--url", url)
        _step(5, f"evaluating base and adapter: {SUITE}")
        asked = ["eval", str(SUITE), "--models", "base,support", "--url", url, "--out", str(FOLDER / "eval")]
        typed("finetune", *asked, *(["--fresh"] if restart else []))
    _summary(read_report(FOLDER / "eval" / "report.json"), time.monotonic() - started)


def _train(recipe: recipes.Recipe) -> None:
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
        shutil.rmtree(FOLDER / "eval", ignore_errors=True)
    typed("finetune", "train", str(RECIPE))


def _summary(report: EvalReport, seconds: float) -> None:
    def share(model: str, task: str) -> float:
        metric = report.metric(model, task)
        return metric.value if metric and metric.value is not None else float("nan")

    ratio = report.difference("support", CHAT)
    worse = ratio.value if ratio and ratio.value is not None else float("nan")
    goals = [
        Goal(
            "known tools, adapter",
            ">= 70%",
            f"{share('support', KNOWN):.0%}",
            share("support", KNOWN) >= 0.70,
        ),
        Goal(
            "unseen tools, adapter",
            ">= 45%",
            f"{share('support', UNSEEN):.0%}",
            share("support", UNSEEN) >= 0.45,
        ),
        Goal("known tools, base", "< 15%", f"{share('base', KNOWN):.0%}", share("base", KNOWN) < 0.15),
        Goal("unseen tools, base", "< 15%", f"{share('base', UNSEEN):.0%}", share("base", UNSEEN) < 0.15),
        Goal("chat perplexity, adapter / base", "<= 1.05", f"{worse:.3f}", worse <= 1.05),
        Goal("time of this run", "< 20 min", f"{seconds / 60:.1f} min", seconds < 1200),
    ]
    for sample in report.samples:
        if sample.kind == "chat":
            _show_answers(sample.messages[-1]["content"], sample.results)
    show(console, "quickstart", goals)
    rows = [metric.model_dump(mode="json") for metric in report.metrics]
    write(FOLDER / "summary.json", "make quickstart", rows, goals)
    console.print(
        f"\nreport   {FOLDER}/eval/report.html\nadapter  {FOLDER}/adapter\nsummary  {FOLDER}/summary.json"
    )
    console.print(f"\nNow try it:  {NEXT[0]}   and, in another terminal,   {NEXT[1]}")


def _show_answers(question: str, results: dict[str, Any]) -> None:
    console.print(f"\n[bold]{question}[/bold]")
    for model, result in results.items():
        answer = result.got
        calls = " ".join(f"{call.name}({call.arguments})" for call in answer.calls) if answer else ""
        words = (answer.content or "").strip() if answer else result.why
        console.print(f"  [cyan]{model:<8}[/cyan] {(words + ' ' + calls).strip()}", markup=True)
    console.print()


def _step(number: int, text: str) -> None:
    console.print(f"\n[bold]{number}/5  {text}[/bold]")


if __name__ == "__main__":
    run(main, console, "interrupted; run it again to go on")
