"""A campaign of made-up examples, as the fuzzers of uploads run it."""

from collections.abc import Callable
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")


def run(
    examples: SearchStrategy[Example], attack: Callable[[Example], None], count: int, seed: int | None
) -> None:
    """Attack with `count` examples; AssertionError with the smallest form of the first one that succeeds.

    Without a `seed` they are the same ones every time.
    """

    @settings(
        max_examples=count,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def attempt(example: Example) -> None:
        attack(example)

    (attempt if seed is None else hypothesis.seed(seed)(attempt))()
