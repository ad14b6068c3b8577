"""Which curves a run's metrics hold, and how each is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from finetune.training_report import plots
from finetune.training_report.plots import Key, Line, Plot, Point, Scale

LEAST, GREATEST = 1e-30, 1e30
"""What a plot can hold."""
MOST_DOTS = 40
"""Evaluations that are drawn as points; more would run into each other, and are a line alone."""


@dataclass(frozen=True)
class Curve:
    """A metric of every training step; `noisy` ones are smoothed, `usual` ones missed when not there."""

    key: str
    title: str
    unit: str
    noisy: bool = True
    log: bool = False
    usual: bool = True


CURVES = (
    Curve("learning_rate", "Learning rate", "rate", noisy=False),
    Curve("grad_norm", "Gradient norm", "L2 norm before clipping", log=True),
    Curve("tokens_per_second", "Speed", "tokens per second"),
    Curve("memory_gb", "Memory", "GB, the process's peak so far", noisy=False),
    Curve("reward_accuracy", "Reward accuracy", "share of pairs", usual=False),
    Curve("reward_margin", "Reward margin", "nats", usual=False),
)

KEYS = (
    "loss",
    "heldout_loss",
    "tokens",
    "learnt_tokens",
    "seconds",
    *(curve.key for curve in CURVES),
)
Curves = dict[str, list[Point]]


def read(metrics: Sequence[dict[str, Any]]) -> Curves:
    """Each of `KEYS` in the order of steps; a step that was run again after a resume counts as run last.

    What is no number, or none that can be drawn, is left out.
    """
    found: dict[str, dict[float, float]] = {key: {} for key in KEYS}
    for row in metrics:
        step = number(row.get("step"))
        if step is None or step < 0:
            continue
        for key, given in row.items():
            if key in found and (value := number(given)) is not None:
                found[key][step] = value
    return {key: sorted(points.items()) for key, points in found.items()}


def number(value: Any) -> float | None:
    """`value` as a number within the limits of a plot, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= GREATEST:
        return None
    return float(value) if abs(value) >= LEAST else 0.0


def draw(curves: Curves, best: Any, resumed: Sequence[int]) -> list[Plot]:
    """The plots that there are values for, the loss first; all have the same x axis."""
    x = plots.steps(max((points[-1][0] for points in curves.values() if points), default=0.0))
    return [*_loss(curves, x, best, resumed), *(plot for curve in CURVES for plot in _one(curves, curve, x))]


def missing(curves: Curves) -> list[str]:
    """Titles of the usual curves that this run has no values of."""
    wanted = [("loss", "training loss"), ("heldout_loss", "held-out loss")]
    wanted += [(curve.key, curve.title.lower()) for curve in CURVES if curve.usual]
    return [title for key, title in wanted if not curves[key]]


def best_evaluation(heldout: Sequence[Point], best: Any) -> Point | None:
    """The evaluation at step `best`; without one, the lowest."""
    at_best = [point for point in heldout if point[0] == best]
    return at_best[0] if at_best else min(heldout, key=lambda point: point[1], default=None)


def of_pairs(curves: Curves) -> bool:
    """Was this DPO, whose loss is of pairs of answers, not of tokens?"""
    return bool(curves["reward_accuracy"] or curves["reward_margin"])


def _loss(curves: Curves, x: Scale, best: Any, resumed: Sequence[int]) -> list[Plot]:
    """Training and held-out loss in one plot: of one unit, and meant to be compared."""
    training, heldout = curves["loss"], curves["heldout_loss"]
    if not training and not heldout:
        return []
    y = plots.linear([value for _, value in [*training, *heldout]])
    lines: list[Line] = []
    keys: list[Key] = []
    words = []
    if training:
        lines, keys = _smoothed(training, x, y, "training")
        words.append(_in_words("Training loss", training))
    marked = best_evaluation(heldout, best)
    if marked:
        lines.append(plots.line("heldout", heldout, x, y))
        if len(heldout) <= MOST_DOTS:
            dots = [plots.dot(point, x, y) for point in heldout]
            lines[-1] = Line("heldout", lines[-1].path, dots)
        keys.append(("heldout", "held out"))
        words.append(f"{_in_words('Held-out loss', heldout)} Best: {plots.said(marked)}.")
    return [
        Plot(
            "loss",
            "Loss",
            "nats per pair of answers" if of_pairs(curves) else "nats per learnt token",
            " ".join(words),
            x,
            y,
            lines,
            keys,
            plots.dot(marked, x, y) if marked else None,
            [x.at(step) for step in resumed if 0 <= step <= x.high],
        )
    ]


def _one(curves: Curves, curve: Curve, x: Scale) -> list[Plot]:
    points = curves[curve.key]
    if not points:
        return []
    values = [value for _, value in points]
    log = curve.log and plots.spans_decades(values)
    y = plots.logarithmic(values) if log else plots.linear(values, from_zero=True)
    unit = f"{curve.unit}, logarithmic" if log else curve.unit
    words = f"{_in_words(curve.title, points)} Median {median(values):.4g}."
    lines, keys = _smoothed(points, x, y, "") if curve.noisy else ([plots.line("main", points, x, y)], [])
    return [Plot(curve.key, curve.title, unit, words, x, y, lines, keys, None, [])]


def _smoothed(points: Sequence[Point], x: Scale, y: Scale, name: str) -> tuple[list[Line], list[Key]]:
    """A faint line of all points under their running mean; of few points they are the only line."""
    width = (len(points) // 20) | 1
    if width == 1:
        return [plots.line("main", points, x, y)], [("main", name)] if name else []
    mean = f"{'geometric ' if y.log else ''}mean over {width:,} steps"
    faint = "raw dense" if len(points) > plots.MOST_POINTS else "raw"
    lines = [plots.line(faint, points, x, y), plots.line("main", plots.smooth(points, width, y.log), x, y)]
    return lines, [("raw", "each step"), ("main", f"{name}, {mean}" if name else mean)]


def _in_words(title: str, points: Sequence[Point]) -> str:
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    return (
        f"{title} from {points[0][1]:.4g} at step {points[0][0]:,.0f} to {points[-1][1]:.4g} at step"
        f" {points[-1][0]:,.0f}, lowest {low[1]:.4g}, highest {high[1]:.4g}."
    )
