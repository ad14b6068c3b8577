"""From replies to an EvalReport: scores, metrics with intervals, differences, and the file."""

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeVar

from data.report import Difference, EvalReport, Measure, Metric, Result, Sample, Served
from finetune.eval import questions as asked
from finetune.eval import statistics
from finetune.eval.ask import Reply
from finetune.eval.question import Question
from finetune.eval.runner import Replies
from finetune.eval.suite import Suite

Value = TypeVar("Value")
_MEASURES: dict[str, Measure] = {"tools": "accuracy", "reference": "score", "perplexity": "perplexity"}


def build(
    suite: Suite,
    endpoint: str,
    models: list[Served],
    questions: list[Question],
    replies: Replies,
    started: str,
) -> EvalReport:
    """The whole report; the first model is what the others are compared with."""
    samples = [_sample(question, models, replies) for question in questions]
    metrics: list[Metric] = []
    differences: list[Difference] = []
    for task, category, measure, group in _groups(samples):
        for served in models:
            metrics.append(_metric(served.name, task, category, measure, group, suite.seed))
        for served in models[1:]:
            differences.append(
                _difference(served.name, models[0].name, task, category, measure, group, suite.seed)
            )
    return EvalReport(
        suite=asked.entry(suite),
        endpoint=endpoint,
        models=models,
        started=started,
        finished=now(),
        reused=replies.reused,
        versions={"enxerto": version("enxerto"), "python": platform.python_version()},
        metrics=metrics,
        differences=differences,
        samples=samples,
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sample(question: Question, models: list[Served], replies: Replies) -> Sample:
    return Sample(
        task=question.task,
        kind=question.kind,
        id=question.id,
        category=question.category,
        messages=question.messages,
        tools=[tool.function.name for tool in question.tools],
        expected=question.expected,
        results={served.name: _result(question, replies.of(question, served.name)) for served in models},
    )


def _result(question: Question, reply: Reply) -> Result:
    score: float | None = None
    why, flags = reply.failure or "", list[str]()
    if reply.failure is None and question.kind == "perplexity":
        score, why = reply.nats, "log likelihood of the expected words"
    elif reply.failure is None and question.score is not None:
        assert reply.answer is not None
        verdict = question.score(reply.answer, reply.cut_off)
        score, why, flags = verdict.score, verdict.why, list(verdict.flags)
    elif reply.cut_off:
        flags = ["cut_off"]
    return Result(
        got=reply.answer,
        score=score,
        why=why,
        flags=flags,
        scored_tokens=reply.scored_tokens,
        latency_s=reply.latency_s,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
    )


def _groups(samples: list[Sample]) -> list[tuple[str, str | None, Measure, list[Sample]]]:
    """Each scored task as a whole, then its categories where it has several."""
    groups: list[tuple[str, str | None, Measure, list[Sample]]] = []
    for task in dict.fromkeys(sample.task for sample in samples if sample.kind != "chat"):
        of_task = [sample for sample in samples if sample.task == task]
        measure = _MEASURES[of_task[0].kind]
        groups.append((task, None, measure, of_task))
        categories = list(dict.fromkeys(sample.category for sample in of_task))
        if len(categories) > 1:
            groups += [
                (task, name, measure, [sample for sample in of_task if sample.category == name])
                for name in categories
            ]
    return groups


def _metric(
    model: str, task: str, category: str | None, measure: Measure, group: list[Sample], seed: int
) -> Metric:
    scored = [sample.results[model] for sample in group if sample.results[model].score is not None]
    if measure == "perplexity":
        estimate = statistics.perplexity([_nats(result) for result in scored], seed)
    else:
        estimate = statistics.mean([_score(result) for result in scored], seed)
    return Metric(
        model=model,
        task=task,
        category=category,
        measure=measure,
        **estimate._asdict(),
        n=len(scored),
        unscored=len(group) - len(scored),
    )


def _difference(
    model: str,
    against: str,
    task: str,
    category: str | None,
    measure: Measure,
    group: list[Sample],
    seed: int,
) -> Difference:
    pairs = [(sample.results[model], sample.results[against]) for sample in group]
    both = [pair for pair in pairs if all(result.score is not None for result in pair)]
    if measure == "perplexity":
        estimate = statistics.perplexity_ratio(*_columns(both, _nats), seed)
    else:
        estimate = statistics.paired_difference(*_columns(both, _score), seed)
    return Difference(
        model=model,
        against=against,
        task=task,
        category=category,
        measure=measure,
        **estimate._asdict(),
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
