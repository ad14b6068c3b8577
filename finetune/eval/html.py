"""report.html: the report as one calm page that needs nothing but itself."""

import math
from collections import Counter
from typing import Any

from data.report import Answer, Call, Difference, EvalReport, Metric, Result, Sample
from finetune.eval import diff
from finetune.pages import environment


def render(report: EvalReport) -> str:
    """The page; everything that a model or a data file said is escaped."""
    page = environment("finetune.eval")
    page.filters.update(
        value=_value, interval=_interval, change=_change, sample_perplexity=_sample_perplexity
    )
    samples = [_row(sample) for sample in report.samples if sample.kind != "chat"]
    return page.get_template("report.html.j2").render(
        report=report,
        tasks=list(dict.fromkeys(m.task for m in report.metrics)),
        categories=_categories(report),
        chats=[sample for sample in report.samples if sample.kind == "chat"],
        rows=samples,
        filters=_filters(report),
        flags=_flags(report),
        unscored=sum(sample["unscored"] for sample in samples),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _value(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    return _percent(metric.value) if metric.measure != "perplexity" else f"{metric.value:.2f}"


def _interval(found: Metric | Difference) -> str:
    """The 95% interval in the unit of the value; says so when there is none."""
    if found.low is None or found.high is None:
        return "no interval"
    if isinstance(found, Difference) and found.measure != "perplexity":
        return f"{_signed(100 * found.low, 0)} to {_signed(100 * found.high, 0)} points"
    if isinstance(found, Difference):
        return f"{_signed(100 * (found.low - 1), 1)} to {_signed(100 * (found.high - 1), 1)}%"
    if found.measure != "perplexity":
        return f"{100 * found.low:.0f}–{100 * found.high:.0f}%"
    return f"{found.low:.2f}–{found.high:.2f}"


def _change(found: Difference) -> str:
    """The difference as a phrase, which claims no more than its interval does."""
    if found.value is None:
        return "no sample was scored for both"
    if found.measure != "perplexity":
        said, none, better = f"{_signed(100 * found.value, 1)} points", 0.0, found.value > 0
    else:
        said, none, better = f"{_signed(100 * (found.value - 1), 1)}%", 1.0, found.value < 1
    if found.low is None or found.high is None or found.low <= none <= found.high:
        return f"{said}, no clear difference"
    return f"{said}, {'better' if better else 'worse'}"


def _signed(number: float, digits: int) -> str:
    """With a sign, and a minus that is as wide as the plus."""
    return f"{number:+.{digits}f}".replace("-", "−")


def _categories(report: EvalReport) -> list[tuple[str, list[tuple[str, list[Metric]]]]]:
    """(task, [(category, a metric for each model)]) for what the chart shows."""
    tasks: dict[str, dict[str, list[Metric]]] = {}
    for metric in report.metrics:
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
    verdicts = {name: _verdict(sample, result) for name, result in sample.results.items()}
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
        "unscored": "unscored" in marks,
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
