"""report.html of an adapter: the run as one calm page that needs nothing but itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data.errors import UserError
from data.manifest import AdapterManifest
from data.mistakes import first_error
from finetune import pages
from finetune.training_report import curves, figures, plots

SHORT_PROMPT = 320
"""Characters; of a longer prompt its last lines are the heading, and all of it is folded away."""


@dataclass(frozen=True)
class Generation:
    """One prompt of the data: what was said to it before and after training, and what the data has."""

    prompt: str
    before: str
    after: str
    expected: str

    @property
    def heading(self) -> str:
        text = self.prompt.strip()
        if len(text) <= SHORT_PROMPT:
            return text
        _, _, lines = text[-SHORT_PROMPT:].partition("\n")
        return f"… {lines or text[-SHORT_PROMPT:]}"


def write(folder: Path, generations: Sequence[Generation]) -> Path:
    """`report.html` in an adapter's `folder`, from its manifest.json and metrics.jsonl.

    A run without metrics.jsonl has a page without plots. UserError for a file that cannot be read.
    """
    manifest, metrics = _manifest(folder / "manifest.json"), _metrics(folder / "metrics.jsonl")
    path = folder / "report.html"
    pages.write(path, render(manifest, metrics, generations))
    return path


def render(
    manifest: AdapterManifest, metrics: Sequence[dict[str, Any]], generations: Sequence[Generation]
) -> str:
    """The page; everything that the run, a model or a data file said is escaped, and no script runs."""
    run = manifest.training
    found = curves.read(metrics)
    resumed = run.get("resumed_at") or []
    environment = pages.environment("finetune.training_report")
    environment.filters.update(count=_count)
    environment.tests.update(call=_is_call)
    return environment.get_template("report.html.j2").render(
        manifest=manifest,
        data=manifest.dataset,
        run=run,
        figures=figures.of_run(manifest, found),
        plots=curves.draw(found, run.get("best_step"), resumed),
        side=plots.SIDE,
        missing=curves.missing(found),
        resumed=resumed,
        generations=generations,
        recipe=yaml.safe_dump(manifest.recipe, sort_keys=False, allow_unicode=True, width=100),
    )


def _manifest(path: Path) -> AdapterManifest:
    if not path.is_file():
        raise UserError(
            f"{path.parent} holds no manifest.json, so it is no adapter; give an adapter's folder."
        )
    try:
        return AdapterManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = first_error(error)
        raise UserError(f"{path} is no adapter manifest ({reason}); train the adapter again.") from None


def _metrics(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number} is no JSON object; remove the line and try again.")
            rows.append(row)
    return rows


def _count(number: float | None) -> str:
    """With thousands apart; a dash for what was not counted."""
    return "–" if number is None else f"{number:,}"


def _is_call(text: str) -> bool:
    """Better read in a fixed width: a tool call, or any JSON."""
    return text.lstrip().startswith(("<tool_call>", "[TOOL_CALLS]", "{", "["))
