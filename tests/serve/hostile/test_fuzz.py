"""Adapters made up wrong: the same 300 in every run of the tests, and 2 000 more in the slow ones."""

import os
from pathlib import Path

import pytest

from tests.serve.hostile.attack import World
from tests.serve.hostile.fuzz import fuzz

EXAMPLES = int(os.environ.get("ENXERTO_FUZZ", "300"))


def test_no_mutant_is_taken(tmp_path: Path) -> None:
    with World.made(tmp_path) as world:
        tally = fuzz(world, EXAMPLES)
    assert tally.total >= EXAMPLES * 0.9
    assert min(tally.refused[where] for where in ("announced", "sent", "committed")) > 0, tally.refused
    assert len(tally.sentences) > 20, "most of the guards are reached"


@pytest.mark.slow
def test_no_mutant_of_many_is_taken(tmp_path: Path) -> None:
    with World.made(tmp_path) as world:
        assert fuzz(world, 2000, seed=2000).total >= 1800
