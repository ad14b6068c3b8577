"""Line plots as geometry, which a template draws as SVG: scales with ticks, thinned lines, marked points.

Places are in percent of the plot's area, from its upper left corner. Lines are paths in a square of `SIDE`
units that the page stretches over the area, so text, strokes and points keep their size at any width.
Values must be finite; their magnitudes lie between 1e-30 and 1e30, or are 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter

Point = tuple[float, float]
"""(step, value)."""
Key = tuple[str, str]
"""(role of a line, what the legend calls it)."""

SIDE = 1000
MOST_POINTS = 1000
"""Of a line: as many as a wide screen has columns."""
MOST_TICKS = 5
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """`factor` is what the labels are to be multiplied by, such as `× 10⁻⁴`; often it is empty."""

    low: float
    high: float
    ticks: list[Tick]
    factor: str = ""
    log: bool = False

    def at(self, value: float) -> float:
        """Percent of the way from `low` to `high`."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
            return 100 * (value - low) / (high - low)
        return 100 * (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Dot:
    """A point that stands out; `label` stands beside the best one, `text` is read when pointing at it."""

    x: float
    y: float
    label: str
    text: str


@dataclass(frozen=True)
class Line:
    """`role` is its CSS class, `path` the SVG path data; one point alone is a dot, with no path."""

    role: str
    path: str
    dots: list[Dot]


@dataclass(frozen=True)
class Plot:
    """`unit` names the upright axis, `description` says the plot in words, for those who do not see it."""

    name: str
    title: str
    unit: str
    description: str
    x: Scale
    y: Scale
    lines: list[Line]
    keys: list[Key]
    best: Dot | None
    resumed: list[float]
    """Places on the x axis where the run was taken up again."""


def steps(last: float) -> Scale:
    """The x axis: from step 0 to `last`, with whole numbers as ticks."""
    high = max(last, 1.0)
    step = _step(high, whole=True)
    return _scale(0.0, high, step, range(int(high / step) + 1), plain=1e4)


def linear(values: Sequence[float], from_zero: bool = False) -> Scale:
    """A scale whose ends are ticks. One value alone stands in its middle, or at its top when from zero."""
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = max(abs(low), abs(high)) / 10 or 1.0
        low, high = low - (0.0 if from_zero else pad), high + pad
    step = _step(high - low)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return _scale(first * step, last * step, step, range(first, last + 1))


def logarithmic(values: Sequence[float]) -> Scale:
    """A scale from power of ten to power of ten; all values are above 0."""
    first, last = _power(min(values)), math.ceil(math.log10(max(values)) - 1e-9)
    last = max(last, first + 1)
    every = math.ceil((last - first) / MOST_TICKS)
    ticks = [
        Tick(100 * (power - first) / (last - first), _label_of_power(power))
        for power in range(first, last + 1, every)
    ]
    return Scale(10.0**first, 10.0**last, ticks, log=True)


def spans_decades(values: Sequence[float]) -> bool:
    """More than a factor of 100 between the least and the greatest, all above 0."""
    return min(values) > 0 and max(values) > 100 * min(values)


def line(role: str, points: Sequence[Point], x: Scale, y: Scale) -> Line:
    kept = thin(points)
    places = [(x.at(step), 100 - y.at(value)) for step, value in kept]
    if len(places) == 1:
        return Line(role, "", [dot(points[0], x, y)])
    return Line(role, "M" + " ".join(f"{a * SIDE / 100:.1f},{b * SIDE / 100:.1f}" for a, b in places), [])


def dot(point: Point, x: Scale, y: Scale) -> Dot:
    return Dot(x.at(point[0]), 100 - y.at(point[1]), f"{point[1]:.3g}", said(point))


def said(point: Point) -> str:
    return f"step {point[0]:,.0f}: {point[1]:.4g}"


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most `most` points: the lowest and highest of equal runs of points, so that every spike stays."""
    if len(points) <= most:
        return points
    runs, value = most // 2, itemgetter(1)
    kept: list[Point] = []
    for index in range(runs):
        run = points[index * len(points) // runs : (index + 1) * len(points) // runs]
        kept.extend(sorted({min(run, key=value), max(run, key=value)}))
    return kept


def smooth(points: Sequence[Point], width: int, log: bool = False) -> list[Point]:
    """The mean over `width` points (odd) around each, geometric with `log`; fewer points at the ends."""
    half = width // 2
    sums = [0.0, *accumulate(math.log(value) if log else value for _, value in points)]
    spans = [(max(0, index - half), min(len(points), index + half + 1)) for index in range(len(points))]
    means = [(sums[end] - sums[start]) / (end - start) for start, end in spans]
    return [(step, math.exp(mean) if log else mean) for (step, _), mean in zip(points, means, strict=True)]


def _step(span: float, whole: bool = False) -> float:
    """The round distance that divides `span` into at most about `MOST_TICKS` parts."""
    raw = span / MOST_TICKS
    power = 10.0 ** _power(raw)
    if whole and power < 1:
        return 1.0
    round_numbers = (1.0, 2.0, 5.0, 10.0) if whole else (1.0, 2.0, 2.5, 5.0, 10.0)
    return next(number for number in round_numbers if number * power >= raw * 0.999) * power


def _scale(low: float, high: float, step: float, multiples: Sequence[int], plain: float = 1e6) -> Scale:
    """Numbers up to `plain` are written out; of greater ones the thousands go into the factor."""
    greatest = max(abs(low), abs(high))
    power = _power(greatest) if greatest < 0.01 else 3 * (_power(greatest) // 3) if greatest >= plain else 0
    digits = _digits(step / 10.0**power)
    ticks = [
        Tick(
            100 * (number * step - low) / (high - low),
            f"{number * step / 10.0**power:,.{digits}f}".replace("-", "−"),
        )
        for number in multiples
    ]
    return Scale(low, high, ticks, f"× 10{_superscript(power)}" if power else "")


def _digits(step: float) -> int:
    """Decimals that tell multiples of `step` apart."""
    return next((digits for digits in range(12) if abs(round(step, digits) - step) < 1e-6 * step), 12)


def _power(value: float) -> int:
    return math.floor(math.log10(value) + 1e-9)


def _label_of_power(power: int) -> str:
    return f"{10.0**power:,g}" if -3 <= power <= 5 else f"10{_superscript(power)}"


def _superscript(power: int) -> str:
    return str(power).translate(SUPERSCRIPTS)
