"""report.md: the report as a comment on a pull request."""

import html
import re
from collections.abc import Iterable, Sequence

from data import phrases
from data.errors import plain
from data.report import EvalReport, Metric

_MARKUP = re.compile(r"[\\`\[\]|]")


def render(report: EvalReport) -> str:
    names = [served.name for served in report.models]
    parts = [f"### Evaluation: {_text(report.suite.name)}", _values(report, phrases.tasks(report), names)]
    if differences := [found for found in report.differences if found.category is None]:
        rows = (
            [
                f"{found.model} against {found.against}",
                found.task,
                phrases.change(found),
                phrases.interval(found),
                str(found.n),
                phrases.visible(found),
            ]
            for found in differences
        )
        parts.append(_table(["difference", "task", "", "95% interval", "pairs", "could see"], rows))
    by_category = [metric for metric in report.metrics if metric.category is not None]
    if by_category:
        parts.append(
            f"<details><summary>By category</summary>\n\n{_categories(by_category, names)}\n\n</details>"
        )
    parts.append("\n".join(_origin(report)))
    return "\n\n".join(parts) + "\n"


def _values(report: EvalReport, tasks: Sequence[str], names: Sequence[str]) -> str:
    rows = ([task, *(_cell(report.metric(name, task)) for name in names)] for task in tasks)
    return _table(["task", *names], rows)


def _categories(metrics: Sequence[Metric], names: Sequence[str]) -> str:
    found = {(metric.task, metric.category, metric.model): metric for metric in metrics}
    places = dict.fromkeys((metric.task, metric.category or "") for metric in metrics)
    rows = ([*place, *(_cell(found.get((*place, name))) for name in names)] for place in places)
    return _table(["task", "category", *names], rows)


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return "–"
    return f"{phrases.value(metric)} ({phrases.interval(metric)}), {phrases.counted(metric)}"


def _origin(report: EvalReport) -> Iterable[str]:
    for served in report.models:
        what = (
            f"version {served.adapter.version}, {_code(served.adapter.digest)}"
            if served.adapter
            else _text(served.model)
        )
        yield f"- {_text(served.name)}: {what}"
    digests = f"suite {_code(report.suite.digest)}, result {_code(report.result_digest)}"
    yield f"- {digests}, {_text(report.finished[:10])}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_text, line)) + " |" for line in lines)


def _text(value: str) -> str:
    """Names come from data: they must not end a cell or a code span, or become markup."""
    escaped = html.escape(plain(" ".join(value.split())), quote=False)
    return _MARKUP.sub(r"\\\g<0>", escaped)


def _code(value: str) -> str:
    return f"`{plain(value).replace('`', chr(39))}`"
