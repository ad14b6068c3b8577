"""What answers cost: seconds and tokens, as the client saw them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.report import EvalReport, Result


@dataclass(frozen=True)
class Spread:
    """5th, 25th, 50th, 75th and 95th percentile of `n` values."""

    n: int
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True)
class Costs:
    """Of one model in one task; None where the endpoint did not say."""

    task: str
    model: str
    latency_s: Spread | None
    completion_tokens: Spread | None
    prompt_total: int
    completion_total: int


def costs(report: EvalReport) -> list[Costs]:
    """For each task in which models answered, each model's costs."""
    found = []
    answered = [sample for sample in report.samples if sample.kind != "perplexity"]
    for task in dict.fromkeys(sample.task for sample in answered):
        for served in report.models:
            results = [sample.results[served.name] for sample in answered if sample.task == task]
            found.append(_costs(task, served.name, [result for result in results if result.got]))
    return found


def _costs(task: str, model: str, results: Sequence[Result]) -> Costs:
    return Costs(
        task=task,
        model=model,
        latency_s=_spread([result.latency_s for result in results]),
        completion_tokens=_spread([result.completion_tokens for result in results]),
        prompt_total=sum(result.prompt_tokens or 0 for result in results),
        completion_total=sum(result.completion_tokens or 0 for result in results),
    )


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(len(known), *(float(value) for value in np.quantile(known, (0.05, 0.25, 0.5, 0.75, 0.95))))
