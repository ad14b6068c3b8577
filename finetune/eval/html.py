"""report.html: the report as one calm page that needs nothing but itself."""

import math
from collections import Counter
from typing import Any

import jinja2

from data import phrases
from data.report import Answer, Call, EvalReport, Metric, Result, Sample
from finetune.eval import diff
from finetune.eval.costs import Costs, Spread, costs
from finetune.pages import environment

MOST_ROWS = 1000
"""A browser filters so many questions at once; a page of ten thousand would be 50 MB."""


def render(report: EvalReport) -> str:
    """The page; everything that a model or a data file said is escaped."""
    samples = [sample for sample in report.samples if sample.kind != "chat"]
    shown = _telling(samples, MOST_ROWS)
    spent = costs(report)
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            measures=phrases.MEASURES,
            tasks=phrases.tasks(report),
            categories=categories(report.metrics),
            by_category=[found for found in report.differences if found.category is not None],
            chats=[sample for sample in report.samples if sample.kind == "chat"],
            costs=_charts(spent),
            totals=_totals(report, spent),
            rows=[_row(sample) for sample in shown],
            left_out=len(samples) - len(shown),
            filters=_filters(report),
            flags=_flags(report),
            unscored=sum("unscored" in _verdicts(sample).values() for sample in samples),
        )
    )


def page_environment() -> jinja2.Environment:
    """The templates of this package, which write numbers as `phrases` do."""
    page = environment("finetune.eval")
    page.filters.update(
        value=phrases.value,
        interval=phrases.interval,
        change=phrases.change,
        visible=phrases.visible,
        sample_perplexity=_sample_perplexity,
        short=_short,
    )
    return page


def _short(number: float) -> str:
    """Two or three digits that count."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"


def _telling(samples: list[Sample], most: int) -> list[Sample]:
    """At most so many, in their order: those that a model got wrong, or that have no score, go first."""
    if len(samples) <= most:
        return samples
    wrong = [bool({"wrong", "unscored"} & set(_verdicts(sample).values())) for sample in samples]
    chosen = sorted(range(len(samples)), key=lambda index: not wrong[index])[:most]
    return [samples[index] for index in sorted(chosen)]


Spreads = list[tuple[str, list[tuple[str, Spread | None]]]]


def _charts(spent: list[Costs]) -> list[tuple[str, str, float, Spreads]]:
    """(title, unit, end of the axis, [(task, [(model, spread)])]) for what the endpoint told."""
    by_task: dict[str, list[Costs]] = {}
    for cost in spent:
        by_task.setdefault(cost.task, []).append(cost)
    charts = []
    for title, unit, of in (
        ("Latency", "s", lambda cost: cost.latency_s),
        ("Answer length", "tokens", lambda cost: cost.completion_tokens),
    ):
        groups = [(task, [(cost.model, of(cost)) for cost in found]) for task, found in by_task.items()]
        ends = [spread.p95 for _, spreads in groups for _, spread in spreads if spread]
        if ends and max(ends) > 0:
            charts.append((title, unit, max(ends), groups))
    return charts


def _totals(report: EvalReport, spent: list[Costs]) -> list[tuple[str, int, int]]:
    """(model, tokens read, tokens written)."""
    return [
        (
            served.name,
            sum(cost.prompt_total for cost in spent if cost.model == served.name),
            sum(cost.completion_total for cost in spent if cost.model == served.name),
        )
        for served in report.models
    ]


def categories(metrics: list[Metric]) -> list[tuple[str, list[tuple[str, list[Metric]]]]]:
    """(task, [(category, a metric for each model)]) for what the chart shows."""
    tasks: dict[str, dict[str, list[Metric]]] = {}
    for metric in metrics:
        if metric.measure != "perplexity":
            rows = tasks.setdefault(metric.task, {})
            rows.setdefault(metric.category or "all", []).append(metric)
    return [(task, list(rows.items())) for task, rows in tasks.items()]


def _filters(report: EvalReport) -> list[tuple[str, str]]:
    """(value, label) of what the table can be narrowed to."""
    wrong = [(f"wrong:{served.name}", f"wrong: {served.name}") for served in report.models]
    compared = [("disagree", "models disagree")] if len(report.models) > 1 else []
    return [("all", "everything"), ("wrong", "wrong: any model"), *wrong, *compared, ("unscored", "unscored")]


def _flags(report: EvalReport) -> list[tuple[str, list[int]]]:
    """(kind of mistake, how often for each model)."""
    counts = [
        Counter(
            flag
            for sample in report.samples
            if sample.kind == "tools"
            for flag in sample.results[served.name].flags
        )
        for served in report.models
    ]
    shown = {
        "unknown_function": "called a function that is not on offer",
        "invalid_arguments": "arguments that break the function's schema, or are no JSON",
        "cut_off": "cut off at the token limit",
    }
    return [(text, [count[flag] for count in counts]) for flag, text in shown.items()]


def _row(sample: Sample) -> dict[str, Any]:
    verdicts = _verdicts(sample)
    marks = {f"wrong:{name}" for name, verdict in verdicts.items() if verdict == "wrong"}
    marks |= set(verdicts.values()) | (
        {"disagree"} if {"right", "wrong"} <= set(verdicts.values()) else set()
    )
    said = [_message(message) for message in sample.messages]
    return {
        "sample": sample,
        "question": next((text for role, text in reversed(said) if role == "user"), ""),
        "said": said,
        "expected": diff.shown(sample.expected) if sample.expected else "",
        "marks": sorted(marks),
        "answers": [
            {
                "model": name,
                "verdict": verdicts[name],
                "result": result,
                "pieces": _pieces(sample, result),
            }
            for name, result in sample.results.items()
        ],
    }


def _sample_perplexity(result: Result) -> str:
    assert result.score is not None and result.scored_tokens
    return f"{math.exp(result.score / result.scored_tokens):.2f}"


def _verdicts(sample: Sample) -> dict[str, str]:
    return {name: _verdict(sample, result) for name, result in sample.results.items()}


def _verdict(sample: Sample, result: Result) -> str:
    if result.score is None:
        return "unscored"
    if sample.kind == "perplexity" or 0 < result.score < 1:
        return "measured"
    return "right" if result.score == 1 else "wrong"


def _pieces(sample: Sample, result: Result) -> list[diff.Piece]:
    if result.got is None:
        return []
    if result.score == 1:
        return [diff.Piece("same", diff.shown(result.got))]
    return diff.between(sample.expected, result.got)


def _message(message: dict[str, Any]) -> tuple[str, str]:
    """(role, text) of a message in OpenAI's form, calls included."""
    content = message.get("content")
    words = "".join(item["text"] for item in content) if isinstance(content, list) else content
    calls = [Call(**call["function"]) for call in message.get("tool_calls", [])]
    return message["role"], diff.shown(Answer(content=words, calls=calls))
