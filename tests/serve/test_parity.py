"""Agreement of two models' distributions, against SciPy's relative entropy."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from serve.parity import TINY, agreement, divergence

Named = list[tuple[int, float]]


def named(probabilities: list[float], first: int = 0) -> Named:
    pairs = [(first + token, math.log(p)) for token, p in enumerate(probabilities)]
    return sorted(pairs, key=lambda pair: -pair[1])


@st.composite
def distributions(draw: Any) -> tuple[list[float], list[float]]:
    """Two distributions of the same few tokens, with something left for all others."""
    size = draw(st.integers(1, 20))
    weights = st.lists(st.floats(0.01, 1), min_size=size + 1, max_size=size + 1)
    made = [np.array(draw(weights)) for _ in range(2)]
    return made[0] / made[0].sum(), made[1] / made[1].sum()


@given(distributions())
def test_divergence_is_relative_entropy(pair: tuple[Any, Any]) -> None:
    p, q = pair
    said = divergence(named(p[:-1].tolist()), dict(named(q[:-1].tolist())))
    assert said == pytest.approx(entropy(p, q), abs=1e-6)


def test_a_token_that_the_engine_does_not_name_counts_as_its_least_likely() -> None:
    trainer, engine = [(7, math.log(0.5)), (8, math.log(0.3))], {7: math.log(0.6), 9: math.log(0.1)}
    expected = entropy([0.5, 0.3, 0.2], [0.6, 0.1, 0.3])
    assert divergence(trainer, engine) == pytest.approx(expected)


def test_all_of_the_mass_on_the_named_tokens_leaves_a_little_for_the_others() -> None:
    assert divergence([(1, 0.0)], {1: math.log(0.5), 2: math.log(0.5)}) == pytest.approx(
        math.log(2), abs=20 * TINY
    )


def test_means_extremes_and_likeliest_tokens() -> None:
    same = (named([0.8, 0.1]), named([0.8, 0.1]))
    other = (named([0.8, 0.1]), named([0.1, 0.8]))
    tie = (named([0.41, 0.4]), named([0.4, 0.41]))
    found = agreement([same, other, tie])
    assert found.places == 3
    assert found.top1 == 0.5  # the near-tie says nothing
    expected = [0.0, entropy([0.8, 0.1, 0.1], [0.1, 0.8, 0.1]), entropy([0.41, 0.4, 0.19], [0.4, 0.41, 0.19])]
    assert found.mean_kl == pytest.approx(sum(expected) / 3, abs=1e-9)
    assert found.max_kl == pytest.approx(max(expected))
