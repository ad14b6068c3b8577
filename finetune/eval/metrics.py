"""From scored samples to metrics and differences, over each task and each of its categories."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

from data.report import Difference, Kind, Measure, Metric, Result, Sample
from finetune.eval import statistics

Value = TypeVar("Value")
_MEASURES: dict[Kind, Measure] = {"tools": "accuracy", "reference": "score", "perplexity": "perplexity"}


class Group(NamedTuple):
    """Samples that are judged together; `category` is None for a whole task."""

    task: str
    category: str | None
    measure: Measure
    samples: list[Sample]


def groups(samples: Sequence[Sample]) -> list[Group]:
    """Each scored task as a whole, then its categories where it has several."""
    found: list[Group] = []
    for task in dict.fromkeys(sample.task for sample in samples if sample.kind != "chat"):
        of_task = [sample for sample in samples if sample.task == task]
        measure = _MEASURES[of_task[0].kind]
        found.append(Group(task, None, measure, of_task))
        categories = list(dict.fromkeys(sample.category for sample in of_task))
        if len(categories) > 1:
            found += [
                Group(task, name, measure, [sample for sample in of_task if sample.category == name])
                for name in categories
            ]
    return found


def metrics(samples: Sequence[Sample], models: Sequence[str], seed: int) -> list[Metric]:
    return [_metric(model, group, seed) for group in groups(samples) for model in models]


def differences(samples: Sequence[Sample], models: Sequence[str], seed: int) -> list[Difference]:
    """Each model against every one before it, so against the base and against what serves now."""
    pairs = [(model, against) for against, model in combinations(models, 2)]
    return [difference(*pair, group, seed) for group in groups(samples) for pair in pairs]


def _metric(model: str, group: Group, seed: int) -> Metric:
    asked = [sample.results[model] for sample in group.samples if model in sample.results]
    scored = [result for result in asked if result.score is not None]
    if group.measure == "perplexity":
        estimate = statistics.perplexity([_nats(result) for result in scored], seed)
    else:
        estimate = statistics.mean([_score(result) for result in scored], seed)
    return Metric(
        model=model,
        task=group.task,
        category=group.category,
        measure=group.measure,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=len(scored),
        unscored=len(asked) - len(scored),
    )


def difference(model: str, against: str, group: Group, seed: int) -> Difference:
    """Over the samples that both models were asked and scored on."""
    asked = [sample.results for sample in group.samples if {model, against} <= sample.results.keys()]
    pairs = [(results[model], results[against]) for results in asked]
    both = [pair for pair in pairs if all(result.score is not None for result in pair)]
    if group.measure == "perplexity":
        found = statistics.perplexity_ratio(*_columns(both, _nats), seed)
    else:
        found = statistics.paired_difference(*_columns(both, _score), seed)
    return Difference(
        model=model,
        against=against,
        task=group.task,
        category=group.category,
        measure=group.measure,
        **found._asdict(),
        n=len(both),
    )


def _columns(
    pairs: list[tuple[Result, Result]], value: Callable[[Result], Value]
) -> tuple[list[Value], list[Value]]:
    return [value(one) for one, _ in pairs], [value(other) for _, other in pairs]


def _score(result: Result) -> float:
    assert result.score is not None
    return result.score


def _nats(result: Result) -> tuple[float, int]:
    assert result.score is not None and result.scored_tokens is not None
    return result.score, result.scored_tokens
