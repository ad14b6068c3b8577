"""Intervals that go with every number of a report: all are 95%, and all are reproducible from a seed."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
RESAMPLES = 5000

Rows = Sequence[Sequence[float]]


class Estimate(NamedTuple):
    """`low` and `high` are None where one sample alone says nothing of the spread."""

    value: float | None
    low: float | None
    high: float | None


NOTHING = Estimate(None, None, None)


def proportion(right: int, n: int) -> Estimate:
    """Share of right answers with Wilson's interval (E. B. Wilson, JASA 22, 1927), fair near 0 and 1 too."""
    if n == 0:
        return NOTHING
    share, z2 = right / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def mean(scores: Sequence[float], seed: int) -> Estimate:
    """Mean score: Wilson's interval when all are 0 or 1, the bootstrap's otherwise."""
    if all(score in (0, 1) for score in scores):
        return proportion(int(sum(scores)), len(scores))
    return _bootstrap([(score, 1.0) for score in scores], lambda sums: sums[..., 0] / sums[..., 1], seed)


def paired_difference(scores: Sequence[float], against: Sequence[float], seed: int) -> Estimate:
    """Mean of `scores - against`; pairs are drawn together, so what makes a question hard cancels out."""
    pairs = [(score - other, 1.0) for score, other in zip(scores, against, strict=True)]
    return _bootstrap(pairs, lambda sums: sums[..., 0] / sums[..., 1], seed)


def perplexity(answers: Sequence[tuple[float, int]], seed: int) -> Estimate:
    """exp(nats per token) pooled over all answers, from (nats, tokens) of each; answers are resampled."""
    return _bootstrap(answers, lambda sums: np.exp(sums[..., 0] / sums[..., 1]), seed)


def perplexity_ratio(
    answers: Sequence[tuple[float, int]], against: Sequence[tuple[float, int]], seed: int
) -> Estimate:
    """Perplexity of `answers` divided by that of `against`, over the same answers in the same order."""
    pairs = [(*one, *other) for one, other in zip(answers, against, strict=True)]
    return _bootstrap(
        pairs, lambda sums: np.exp(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]), seed
    )


def _bootstrap(
    rows: Rows, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int
) -> Estimate:
    """Percentile bootstrap of a statistic of column sums, over rows drawn with replacement.

    `rows` is (n, columns); `statistic` takes (..., columns) and gives (...).
    """
    if not rows:
        return NOTHING
    table = np.asarray(rows, dtype=np.float64)
    value = float(statistic(table.sum(axis=0)))
    if len(table) == 1:
        return Estimate(value, None, None)
    random = np.random.default_rng(seed)
    # In blocks: all resamples at once would take gigabytes at ten thousand samples.
    block = max(1, 200_000 // len(table))
    sizes = [min(block, RESAMPLES - done) for done in range(0, RESAMPLES, block)]
    draws = (random.integers(len(table), size=(size, len(table))) for size in sizes)
    sums = np.concatenate([table[draw].sum(axis=1) for draw in draws])
    low, high = np.quantile(statistic(sums), (0.025, 0.975))
    return Estimate(value, float(low), float(high))
