"""Ticks that are right and readable, lines that keep what matters."""

import random
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.training_report import plots
from finetune.training_report.plots import Scale

SIZES = st.floats(min_value=1e-30, max_value=1e30)
VALUES = st.one_of(st.just(0.0), SIZES, SIZES.map(lambda value: -value))


def labels(scale: Scale) -> list[str]:
    return [tick.label for tick in scale.ticks]


def read(scale: Scale) -> list[float]:
    """The ticks' values as a person reads them off the axis."""
    power = scale.factor.removeprefix("× 10").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    factor = float(f"1e{power or 0}")
    return [float(label.replace("−", "-").replace(",", "")) * factor for label in labels(scale)]


@given(st.lists(VALUES, min_size=1, max_size=6), st.booleans())
@example([0.0], True)
@example([1e30, -1e30], False)
@example([1.0, 1.0 + 2e-16], False)
@example([3e-30], False)
def test_a_linear_scale_holds_its_values_and_its_labels_say_where_its_ticks_are(
    values: list[float], from_zero: bool
) -> None:
    scale = plots.linear(values, from_zero)
    assert all(-1e-4 <= scale.at(value) <= 100 + 1e-4 for value in values)
    assert 2 <= len(scale.ticks) <= plots.MOST_TICKS + 3
    assert len(set(labels(scale))) == len(scale.ticks)
    assert [tick.at for tick in scale.ticks] == pytest.approx(
        [scale.at(value) for value in read(scale)], abs=1
    )
    assert (scale.ticks[0].at, scale.ticks[-1].at) == pytest.approx((0, 100))


@given(st.lists(SIZES, min_size=1, max_size=6))
def test_a_logarithmic_scale_goes_from_power_to_power(values: list[float]) -> None:
    scale = plots.logarithmic(values)
    assert all(-1e-4 <= scale.at(value) <= 100 + 1e-4 for value in values)
    assert 2 <= len(scale.ticks) <= plots.MOST_TICKS + 2
    assert len(set(labels(scale))) == len(scale.ticks)


@given(st.integers(min_value=0, max_value=10**12))
def test_steps_have_whole_numbers_as_ticks(last: int) -> None:
    scale = plots.steps(last)
    assert all(value == pytest.approx(round(value)) for value in read(scale))
    assert all(0 <= tick.at <= 100 for tick in scale.ticks)
    assert scale.at(max(last, 1)) == 100


@pytest.mark.parametrize(
    ("scale", "expected", "factor"),
    [
        (plots.linear([0.4, 2.9]), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0"], ""),
        (plots.linear([0.0, 5e-4]), ["0", "1", "2", "3", "4", "5"], "× 10⁻⁴"),
        (plots.linear([-1.2, 3.1]), ["−2", "−1", "0", "1", "2", "3", "4"], ""),
        (plots.linear([12_000.0], from_zero=True), ["0", "2,500", "5,000", "7,500", "10,000", "12,500"], ""),
        (plots.logarithmic([0.2, 900.0]), ["0.1", "1", "10", "100", "1,000"], ""),
        (plots.logarithmic([1e-8, 3e8]), ["10⁻⁸", "10⁻⁴", "1", "10,000", "10⁸"], ""),
        (plots.steps(7), ["0", "2", "4", "6"], ""),
        (plots.steps(300), ["0", "100", "200", "300"], ""),
        (plots.steps(100_000), ["0", "20", "40", "60", "80", "100"], "× 10³"),
    ],
)
def test_ticks_are_round(scale: Scale, expected: list[str], factor: str) -> None:
    assert (labels(scale), scale.factor) == (expected, factor)


def test_one_value_alone_stands_in_the_middle() -> None:
    assert plots.linear([2.0]).at(2.0) == pytest.approx(50)


def test_thinning_keeps_every_spike_and_the_order() -> None:
    noise = random.Random(3)
    points = [(float(step), noise.random()) for step in range(100_000)]
    points[41_234], points[77_777] = (41_234.0, 9.0), (77_777.0, -5.0)
    kept = plots.thin(points)
    assert len(kept) <= plots.MOST_POINTS
    assert {(41_234.0, 9.0), (77_777.0, -5.0)} <= set(kept)
    assert list(kept) == sorted(set(kept)) and set(kept) <= set(points)
    assert plots.thin(points[:1000]) == points[:1000]


@pytest.mark.parametrize(("log", "mean"), [(False, statistics.fmean), (True, statistics.geometric_mean)])
def test_the_smooth_line_is_the_mean_of_the_neighbours(log: bool, mean: object) -> None:
    assert callable(mean)
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    smoothed = plots.smooth([(10.0 * index, value) for index, value in enumerate(values)], 5, log)
    windows = [values[0:3], values[0:4], values[0:5], values[1:6], values[2:7], values[3:7], values[4:7]]
    assert [step for step, _ in smoothed] == [0, 10, 20, 30, 40, 50, 60]
    assert [value for _, value in smoothed] == pytest.approx([mean(window) for window in windows])


def test_only_what_spans_more_than_a_hundredfold_is_logarithmic() -> None:
    assert plots.spans_decades([0.1, 10.1])
    assert not plots.spans_decades([0.1, 9.9])
    assert not plots.spans_decades([0.0, 1e6])


def test_a_line_goes_through_its_points_from_the_lower_left() -> None:
    x, y = plots.steps(10), plots.linear([0.0, 4.0])
    drawn = plots.line("main", [(0.0, 0.0), (5.0, 4.0), (10.0, 1.0)], x, y)
    assert drawn.path == "M0.0,1000.0 500.0,0.0 1000.0,750.0"
    assert not drawn.dots


def test_one_point_is_a_dot() -> None:
    drawn = plots.line("main", [(1.0, 2.0)], plots.steps(1), plots.linear([2.0]))
    assert drawn.path == ""
    (dot,) = drawn.dots
    assert (dot.x, dot.y) == pytest.approx((100, 50))
    assert dot.text == "step 1: 2"
