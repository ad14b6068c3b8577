"""Mixing by weight: exact counts, the same every time, and nothing lost at weight 1."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources import Source, mixed


def source(weight: float = 1.0, path: str = "a.jsonl") -> Source:
    return Source(path=path, weight=weight)


def times(weight: float, count: int, seed: int = 0) -> Counter[int]:
    return Counter(index for _, index in mixed([source(weight)], [count], seed))


def test_one_source_of_weight_one_keeps_its_order() -> None:
    assert mixed([source()], [5], seed=3) == [(0, index) for index in range(5)]


@pytest.mark.parametrize(("weight", "total"), [(0.3, 30), (1.0, 100), (2.5, 250), (3, 300), (0.004, 0)])
def test_counts_are_exact(weight: float, total: int) -> None:
    found = times(weight, 100)
    assert sum(found.values()) == total
    assert {found[index] for index in range(100)} <= {int(weight), int(weight) + 1}


def test_more_weight_only_adds() -> None:
    for seed in range(5):
        assert times(0.2, 100, seed) <= times(0.5, 100, seed) <= times(1.3, 100, seed)


def test_the_seed_decides_what_a_fraction_takes() -> None:
    assert times(0.5, 100, seed=1) == times(0.5, 100, seed=1) != times(0.5, 100, seed=2)


def test_sources_are_interleaved_the_same_every_time() -> None:
    two = [source(path="a"), source(path="b", weight=2)]
    order = mixed(two, [50, 50], seed=1)
    assert order == mixed(two, [50, 50], seed=1) != mixed(two, [50, 50], seed=2)
    first = Counter(number for number, _ in order[:75])
    assert first[0] > 10 and first[1] > 30


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 40)), min_size=1, max_size=4), st.integers(0, 9))
def test_every_source_gives_what_its_weight_says(given: list[tuple[float, int]], seed: int) -> None:
    sources = [source(weight, str(number)) for number, (weight, _) in enumerate(given)]
    found = Counter(number for number, _ in mixed(sources, [count for _, count in given], seed))
    for number, (weight, count) in enumerate(given):
        assert abs(found[number] - weight * count) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    "bad", [{"weight": 0}, {"weight": -1}, {"weight": float("nan")}, {"format": "csv"}, {"path": ""}]
)
def test_bad_sources_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Source.model_validate({"path": "a"} | bad)
