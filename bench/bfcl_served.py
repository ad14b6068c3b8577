"""BFCL's questions asked of the base and of the quickstart's adapter, through the served endpoint."""

from pathlib import Path
from typing import Any

from bench.line import server, typed
from bench.results import Goal
from data.errors import UserError
from data.report import read_report
from finetune import recipe as recipes

RECIPE = Path("recipes/quickstart.yaml")
SUITE = Path("recipes/evals/bfcl-basic.yaml")
MODELS = ("base", "support")


def measured(folder: Path) -> tuple[list[dict[str, Any]], list[Goal]]:
    """A row for each category. The report stays in `runs/bfcl`; a run that was stopped goes on."""
    recipe = recipes.load(RECIPE)
    if not (recipe.folder / "manifest.json").is_file():
        raise UserError(f"there is no adapter in {recipe.folder}; make it with `make quickstart`.")
    out = Path("runs/bfcl")
    with server(recipe.base.name, "--registry", str(folder / "registry")) as url:
        typed("serve", "push", str(recipe.folder), "--name", MODELS[1], "--url", url)
        typed("finetune", "eval", str(SUITE), "--models", ",".join(MODELS), "--url", url, "--out", str(out))
    report = read_report(out)
    rows, asked, scored = list[dict[str, Any]](), 0, 0
    for category in dict.fromkeys(one.category for one in report.metrics):
        row: dict[str, Any] = {"what": category or "all"}
        for model in MODELS:
            metric = report.metric(model, "bfcl", category)
            assert metric is not None
            ends = (metric.low, metric.high)
            row |= {"n": metric.n, model: _round(metric.value), f"{model}_interval": [*map(_round, ends)]}
            if category is None:
                asked, scored = asked + metric.n + metric.unscored, scored + metric.n
        rows.append(row)
    answers = f"{asked} of {asked}"
    return rows, [Goal("BFCL answers that could be scored", answers, f"{scored}", scored == asked)]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
