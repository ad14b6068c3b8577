"""Numbers in words that claim no more than the intervals do; for the terminal, Markdown and HTML alike."""

from data.report import Difference, EvalReport, Measure, Metric

MEASURES: dict[Measure, str] = {
    "accuracy": "right answers, as a share of the questions",
    "score": "mean score against the references, 100% at best",
    "perplexity": "perplexity of the expected answers, lower is better",
}


def value(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    return f"{metric.value:.2f}" if metric.measure == "perplexity" else f"{100 * metric.value:.1f}%"


def interval(found: Metric | Difference) -> str:
    """The 95% interval in the unit of the value; says so when there is none."""
    if found.low is None or found.high is None:
        return "no interval"
    if isinstance(found, Difference):
        if found.measure == "perplexity":
            return f"{signed(100 * (found.low - 1), 1)} to {signed(100 * (found.high - 1), 1)}%"
        return f"{signed(100 * found.low, 0)} to {signed(100 * found.high, 0)} points"
    if found.measure == "perplexity":
        return f"{found.low:.2f}–{found.high:.2f}"
    return f"{100 * found.low:.0f}–{100 * found.high:.0f}%"


def counted(metric: Metric) -> str:
    return f"n = {metric.n}" + (f", {metric.unscored} unscored" if metric.unscored else "")


def amount(found: Difference) -> str:
    if found.value is None:
        return "no sample was scored for both"
    if found.measure == "perplexity":
        return f"{signed(100 * (found.value - 1), 1)}%"
    return f"{signed(100 * found.value, 1)} points"


def change(found: Difference) -> str:
    """The difference as a phrase."""
    if found.value is None:
        return amount(found)
    return f"{amount(found)}, {found.direction or 'no clear difference'}"


def visible(found: Difference) -> str:
    """The least difference that could have been seen."""
    if found.detectable is None:
        return "no difference"
    if found.measure == "perplexity":
        return f"{100 * (found.detectable - 1):.1f}%"
    return f"{100 * found.detectable:.1f} points"


def signed(number: float, digits: int) -> str:
    """With a sign, and a minus that is as wide as the plus."""
    return f"{number:+.{digits}f}".replace("-", "−")


def tasks(report: EvalReport) -> list[str]:
    """The tasks that were scored."""
    return list(dict.fromkeys(metric.task for metric in report.metrics))
