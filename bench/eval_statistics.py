"""The statistics beside SciPy's, which share no code with them, on known data; how often they are right."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bench.results import Goal
from finetune.eval import statistics

Row = dict[str, Any]
Pairs = tuple[list[float], list[float]]
RUNS = 400


def measured(folder: Path) -> tuple[list[Row], list[Goal]]:
    rows = [_wilson(), _sign_test(), *_bootstraps(), _coverage(), _power(), _time()]
    found = {row["what"]: row for row in rows}
    exact = max(
        found["Wilson's interval"]["largest_difference"], found["exact sign test"]["largest_difference"]
    )
    bootstrap = max(row["largest_difference"] for row in rows if row["what"].startswith("bootstrap"))
    covered, power = found["coverage"]["share"], found["least visible difference"]["share"]
    seconds = found["paired bootstrap, 10 000 pairs"]["seconds"]
    return rows, [
        Goal("Wilson and sign test, against SciPy", "<= 1e-9", f"{exact:.1e}", exact <= 1e-9),
        Goal(
            "bootstrap intervals, against SciPy's, in standard errors",
            "<= 0.15",
            f"{bootstrap:.3f}",
            bootstrap <= 0.15,
        ),
        Goal(
            "95% intervals of differences hold the truth",
            "93% to 97%",
            f"{covered:.1%}",
            0.93 <= covered <= 0.97,
        ),
        Goal("the least visible difference is found", "75% to 85%", f"{power:.1%}", 0.75 <= power <= 0.85),
        Goal("a paired bootstrap of 10 000 pairs", "< 5 s", f"{seconds:.2f} s", seconds < 5),
    ]


def _wilson() -> Row:
    worst = 0.0
    for n in (1, 2, 7, 40, 400, 10_000):
        for right in {0, 1, n // 3, n // 2, n - 1, n}:
            found = statistics.proportion(right, n)
            theirs = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
            assert found.low is not None and found.high is not None
            worst = max(worst, abs(found.low - theirs.low), abs(found.high - theirs.high))
    return {"what": "Wilson's interval", "largest_difference": float(f"{worst:.3g}")}


def _sign_test() -> Row:
    pairs = [(won, lost) for won in range(0, 60, 3) for lost in range(1, 60, 4)] + [(5200, 4800), (900, 1000)]
    worst = max(
        abs(statistics.sign_test(won, lost) - stats.binomtest(won, won + lost).pvalue) for won, lost in pairs
    )
    return {"what": "exact sign test", "largest_difference": float(f"{worst:.3g}")}


def _bootstraps() -> list[Row]:
    """Largest distance of an interval's end from SciPy's, in standard errors; both draw by chance."""
    draw = random.Random(1)
    scores = [draw.random() ** 2 for _ in range(200)]
    against = [max(0.0, score - 0.3 * draw.random()) for score in scores]
    tokens = [float(draw.randint(5, 60)) for _ in range(200)]
    nats = [count * draw.uniform(1, 4) for count in tokens]
    worse = [each * draw.uniform(1, 1.2) for each in nats]

    def ratio(a: Any, b: Any, axis: int) -> Any:
        return np.exp(a.sum(axis=axis) / b.sum(axis=axis))

    def ratios(a: Any, b: Any, c: Any, axis: int) -> Any:
        return np.exp(a.sum(axis=axis) / c.sum(axis=axis) - b.sum(axis=axis) / c.sum(axis=axis))

    def difference(a: Any, b: Any, axis: int) -> Any:
        return np.mean(a - b, axis=axis)

    whole = [int(count) for count in tokens]
    answers, others = list(zip(nats, whole, strict=True)), list(zip(worse, whole, strict=True))
    cases: list[tuple[str, Any, Any, Any]] = [
        ("mean", statistics.mean(scores, 1), (scores,), np.mean),
        (
            "paired difference",
            statistics.paired_difference(scores, against, 1),
            (scores, against),
            difference,
        ),
        ("perplexity", statistics.perplexity(answers, 1), (nats, tokens), ratio),
        (
            "ratio of perplexities",
            statistics.perplexity_ratio(others, answers, 1),
            (worse, nats, tokens),
            ratios,
        ),
    ]
    rows = []
    for name, found, data, statistic in cases:
        theirs = stats.bootstrap(
            data, statistic, paired=len(data) > 1, n_resamples=20_000, method="percentile", rng=2
        )
        low, high = theirs.confidence_interval
        apart = max(abs(found.low - low), abs(found.high - high)) / theirs.standard_error
        rows.append({"what": f"bootstrap: {name}", "largest_difference": round(float(apart), 4)})
    return rows


def _pairs(draw: random.Random, n: int, chance: float, gain: float) -> Pairs:
    """Scores of 1 or 0: `chance` of the pairs go either way, `gain` more are won."""
    kinds = [draw.random() for _ in range(n)]
    against = [1.0 if kind < chance / 2 or kind > 0.7 else 0.0 for kind in kinds]
    return [1.0 if chance / 2 <= kind < chance + gain or kind > 0.7 else 0.0 for kind in kinds], against


def _coverage() -> Row:
    draw, truth, held = random.Random(3), 0.08, 0
    for seed in range(RUNS):
        found = statistics.paired_difference(*_pairs(draw, 200, 0.2, truth), seed)
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    return {"what": "coverage", "share": held / RUNS, "runs": RUNS, "pairs": 200}


def _power() -> Row:
    draw, n, chance = random.Random(4), 400, 0.2
    even = round(n * chance / 2)
    known = [1.0] * even + [0.0] * (n - even)
    least = statistics.paired_difference(known, known[even:] + known[:even], 1).detectable
    assert least is not None
    clear, runs = 0, 5000
    for _ in range(runs):
        scores, against = _pairs(draw, n, chance, least)
        won = sum(score > other for score, other in zip(scores, against, strict=True))
        lost = sum(score < other for score, other in zip(scores, against, strict=True))
        clear += won > lost and statistics.sign_test(won, lost) < 0.05
    return {
        "what": "least visible difference",
        "share": clear / runs,
        "runs": runs,
        "pairs": n,
        "difference": round(least, 4),
    }


def _time() -> Row:
    scores, against = _pairs(random.Random(5), 10_000, 0.2, 0.05)
    started = time.perf_counter()
    statistics.paired_difference(scores, against, 1)
    return {"what": "paired bootstrap, 10 000 pairs", "seconds": round(time.perf_counter() - started, 3)}
