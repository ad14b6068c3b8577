"""Checked against SciPy, which shares no code with ours."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from data.report import Difference
from finetune.eval import statistics


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_wilson(counts: tuple[int, int]) -> None:
    right, n = counts
    found = statistics.proportion(right, n)
    low, high = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.value == right / n


def test_the_mean_of_zeros_and_ones_has_wilsons_interval() -> None:
    assert statistics.mean([1, 0, 1, 1], seed=1) == statistics.proportion(3, 4)


def test_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    draw = random.Random(3)
    scores = [draw.random() ** 2 for _ in range(80)]
    found = statistics.mean(scores, seed=1)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20000, method="percentile", rng=5
    ).confidence_interval
    assert found.value == pytest.approx(np.mean(scores))
    assert found.low == pytest.approx(theirs.low, abs=0.006)
    assert found.high == pytest.approx(theirs.high, abs=0.006)


def test_paired_difference_agrees_with_scipys_paired_bootstrap() -> None:
    draw = random.Random(4)
    against = [float(draw.random() < 0.3) for _ in range(120)]
    scores = [1.0 if draw.random() < 0.5 else score for score in against]
    found = statistics.paired_difference(scores, against, seed=1)
    theirs = stats.bootstrap(
        (scores, against),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        paired=True,
        n_resamples=20000,
        method="percentile",
        rng=5,
    ).confidence_interval
    assert found.value == pytest.approx(sum(scores) / 120 - sum(against) / 120)
    assert found.low == pytest.approx(theirs.low, abs=0.012)
    assert found.high == pytest.approx(theirs.high, abs=0.012)


def test_pairing_makes_the_interval_narrower_than_two_separate_ones() -> None:
    draw = random.Random(5)
    against = [draw.random() for _ in range(60)]
    found = statistics.paired_difference([score + 0.1 for score in against], against, seed=1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_perplexity_is_pooled_over_tokens_not_averaged_over_answers() -> None:
    # 10 tokens at probability 1/2 and 30 at 1/4: exp(mean nats) = 2 ** (10/40 * 1 + 30/40 * 2)
    answers = [(10 * math.log(2), 10), (30 * math.log(4), 30)]
    assert statistics.perplexity(answers, seed=1).value == pytest.approx(2**1.75)


def test_perplexity_interval_agrees_with_scipy() -> None:
    draw = random.Random(6)
    tokens = [draw.randint(5, 60) for _ in range(50)]
    nats = [count * draw.uniform(1, 4) for count in tokens]
    found = statistics.perplexity(list(zip(nats, tokens, strict=True)), seed=1)
    theirs = stats.bootstrap(
        (nats, tokens),
        lambda a, b, axis: np.exp(a.sum(axis=axis) / b.sum(axis=axis)),
        paired=True,
        n_resamples=20000,
        method="percentile",
        rng=5,
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, rel=0.01)
    assert found.high == pytest.approx(theirs.high, rel=0.01)


def test_perplexity_ratio_of_an_answer_twice_as_unlikely() -> None:
    against = [(nats, 10) for nats in (20.0, 25.0, 12.0)]
    worse = [(nats + 10 * math.log(2), 10) for nats, _ in against]
    found = statistics.perplexity_ratio(worse, against, seed=1)
    assert found[:3] == pytest.approx((2.0, 2.0, 2.0))
    assert found.detectable is None  # pairs that do not vary say nothing of what could be seen


def test_a_seed_gives_the_same_interval_again() -> None:
    answers = [(float(n), n + 1) for n in range(20)]
    assert statistics.perplexity(answers, seed=1) == statistics.perplexity(answers, seed=1)
    assert statistics.perplexity(answers, seed=1) != statistics.perplexity(answers, seed=2)


def test_too_few_samples_claim_nothing() -> None:
    assert statistics.mean([], seed=1) == (None, None, None)
    assert statistics.perplexity([], seed=1) == (None, None, None)
    assert statistics.paired_difference([0.5], [0.25], seed=1) == (0.25, None, None, None, None)
    assert statistics.paired_difference([], [], seed=1) == (None, None, None, 1.0, None)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    draw = random.Random(7)
    covered = 0
    for run in range(300):
        found = statistics.mean([draw.gauss(0.3, 1) for _ in range(40)], seed=run)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.3 <= found.high
    # 95% is meant; the percentile bootstrap is known to give a little less at n = 40.
    assert 0.90 <= covered / 300 <= 0.98


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_sign_test_is_scipys_binomial_test(won: int, lost: int) -> None:
    theirs = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert statistics.sign_test(won, lost) == pytest.approx(theirs, rel=1e-9)


def test_a_sign_test_of_thousands_is_fast_and_finite() -> None:
    assert statistics.sign_test(5000, 5000) == 1
    assert statistics.sign_test(6000, 4000) == pytest.approx(stats.binomtest(6000, 10000).pvalue)


def test_the_least_visible_difference_is_found_8_times_in_10() -> None:
    """SciPy's power of a paired t test against a true difference of just that size."""
    draw = random.Random(8)
    scores = [draw.gauss(0.5, 0.2) for _ in range(200)]
    against = [score + draw.gauss(0, 0.1) for score in scores]
    least = statistics.paired_difference(scores, against, seed=1).detectable
    assert least is not None
    spread = float(np.std(np.subtract(scores, against)))
    random_pairs = np.random.default_rng(9)
    power = stats.power(
        stats.ttest_1samp,
        lambda size: random_pairs.normal(least, spread, size),
        n_observations=200,
        kwargs={"popmean": 0},
        significance=0.05,
        n_resamples=4000,
    ).power
    assert power == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(("n", "chance"), [(60, 0.0), (200, 0.1), (1000, 0.3)])
def test_the_exact_test_finds_the_least_visible_gain_8_times_in_10(n: int, chance: float) -> None:
    draw = random.Random(10)
    even = round(n * chance / 2)
    least = statistics.paired_difference(
        [1.0] * even + [0.0] * (n - even), [0.0] * even + [1.0] * even + [0.0] * (n - 2 * even), seed=1
    ).detectable
    assert least is not None
    found = 0
    for _ in range(1000):
        kinds = [draw.random() for _ in range(n)]
        lost = sum(kind < chance / 2 for kind in kinds)
        won = sum(chance / 2 <= kind < chance + least for kind in kinds)
        found += won > lost and statistics.sign_test(won, lost) < 0.05
    # The exact test is a little strict.
    assert 0.70 <= found / 1000 <= 0.86


def test_a_handful_of_pairs_is_no_clear_difference() -> None:
    # The bootstrap alone calls 4 of 40 clearly better; a fair coin gives 4 of one side once in 8 times.
    found = statistics.paired_difference([1.0] * 4 + [0.0] * 36, [0.0] * 40, seed=1)
    assert found.low is not None and found.low > 0
    assert found.p == 0.125
    assert found.detectable is not None and found.detectable >= 6 / 40
    about = {"model": "a", "against": "b", "task": "t", "measure": "accuracy", "n": 40}
    assert Difference(**about, **found._asdict()).direction is None
    clear = statistics.paired_difference([1.0] * 8 + [0.0] * 32, [0.0] * 40, seed=1)
    assert Difference(**about, **clear._asdict()).direction == "better"


def test_no_difference_can_be_seen_in_five_pairs() -> None:
    assert statistics.paired_difference([1.0] * 5, [0.0] * 5, seed=1).detectable is None
    assert statistics.paired_difference([1.0] * 10, [1.0] * 10, seed=1).detectable == 0.6
