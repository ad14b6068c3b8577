"""Intervals that go with every number of a report: all are 95%, and all are reproducible from a seed."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
Z80 = 0.8416212335729143
"""Standard deviations that a true difference must be further off, to be found 8 times in 10."""
RESAMPLES = 10_000

Rows = Sequence[Sequence[float]]


class Estimate(NamedTuple):
    """`low` and `high` are None where one sample alone says nothing of the spread."""

    value: float | None
    low: float | None
    high: float | None


class Paired(NamedTuple):
    """A difference with its interval; `p` and `detectable` are explained in `data.report.Difference`."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None = None
    detectable: float | None = None


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
    if _all_or_nothing(scores):
        return proportion(int(sum(scores)), len(scores))
    return _bootstrap([(score, 1.0) for score in scores], _ratio, seed)[0]


def paired_difference(scores: Sequence[float], against: Sequence[float], seed: int) -> Paired:
    """Mean of `scores - against`; pairs are drawn together, so what makes a question hard cancels out."""
    differences = [score - other for score, other in zip(scores, against, strict=True)]
    found, error = _bootstrap([(difference, 1.0) for difference in differences], _ratio, seed)
    if not _all_or_nothing([*scores, *against]):
        return Paired(*found, None, (Z95 + Z80) * error if error else None)
    won, lost = differences.count(1), differences.count(-1)
    return Paired(*found, sign_test(won, lost), _detectable_share(won, lost, len(scores)))


def _detectable_share(won: int, lost: int, n: int) -> float | None:
    """The gain g that shows in n pairs, of which some go either way by chance: g = z * error(g)."""
    # However even the others are, the exact test needs six pairs for one side: 2 * 0.5**6 < 0.05.
    if n < 6:
        return None
    chance, z2 = 2 * min(won, lost), (Z95 + Z80) ** 2
    # error(g)**2 = (chance / n + g - g * g) / n, solved for g.
    gain = (z2 + math.sqrt(z2 * z2 + 4 * (n + z2) * z2 * chance / n)) / (2 * (n + z2))
    return max(gain, 6 / n)


def sign_test(won: int, lost: int) -> float:
    """Two-sided exact p of so many pairs for either side, if both were as likely (Q. McNemar, 1947)."""
    n, tail, ways = won + lost, 0, 1
    for k in range(min(won, lost) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # n over k + 1
    return float(min(1.0, 2 * tail / 2**n))


def perplexity(answers: Sequence[tuple[float, int]], seed: int) -> Estimate:
    """exp(nats per token) pooled over all answers, from (nats, tokens) of each; answers are resampled."""
    found, _ = _bootstrap(answers, _ratio, seed)
    return Estimate(*map(_exp, found))


def perplexity_ratio(
    answers: Sequence[tuple[float, int]], against: Sequence[tuple[float, int]], seed: int
) -> Paired:
    """Perplexity of `answers` divided by that of `against`, over the same answers in the same order."""
    pairs = [(*one, *other) for one, other in zip(answers, against, strict=True)]
    found, error = _bootstrap(pairs, lambda sums: _ratio(sums) - _ratio(sums[..., 2:]), seed)
    value, low, high = map(_exp, found)
    return Paired(value, low, high, detectable=math.exp((Z95 + Z80) * error) if error else None)


def _all_or_nothing(scores: Sequence[float]) -> bool:
    return all(score in (0, 1) for score in scores)


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """First column by second: a mean, or nats by tokens."""
    return sums[..., 0] / sums[..., 1]


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)


def _bootstrap(
    rows: Rows, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int
) -> tuple[Estimate, float]:
    """Percentile bootstrap of a statistic of column sums, over rows drawn with replacement.

    `rows` is (n, columns); `statistic` takes (..., columns) and gives (...). The second value is the
    standard error; 0 where the rows do not vary, or there is one alone.
    """
    if not rows:
        return NOTHING, 0.0
    table = np.asarray(rows, dtype=np.float64)
    value = float(statistic(table.sum(axis=0)))
    if len(table) == 1:
        return Estimate(value, None, None), 0.0
    sums = _resampled(table, np.random.default_rng(seed))
    found = statistic(sums)
    low, high = np.quantile(found, (0.025, 0.975))
    error = float(np.std(found))
    # Rows that are all the same differ in their sums by rounding alone.
    return Estimate(value, float(low), float(high)), error if error > 1e-12 else 0.0


def _resampled(table: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Column sums (RESAMPLES, columns) of as many rows, drawn with replacement."""
    rows, often = np.unique(table, axis=0, return_counts=True)
    if len(rows) * 10 < len(table):
        # Scores of 1 and 0 make few different rows: how often each is drawn says it all.
        drawn = random.multinomial(len(table), often / len(table), size=RESAMPLES)
        return np.asarray(drawn @ rows, dtype=np.float64)
    # In blocks: all resamples at once would take gigabytes at ten thousand samples.
    block = max(1, 200_000 // len(table))
    sizes = [min(block, RESAMPLES - done) for done in range(0, RESAMPLES, block)]
    draws = (random.integers(len(table), size=(size, len(table))) for size in sizes)
    return np.concatenate([table[draw].sum(axis=1) for draw in draws])
