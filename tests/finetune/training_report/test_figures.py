"""The key numbers: told in units that fit, and only when they are known."""

from typing import Any

import pytest

from finetune.training_report import curves, figures
from tests.finetune.training_report.run import evaluation, manifest, step


def told(metrics: list[dict[str, Any]], **training: Any) -> dict[str, str]:
    """Each figure by its name, as one line."""
    found = figures.of_run(manifest(**training), curves.read(metrics))
    return {
        one.name: " ".join(part for pair in one.value for part in pair if part) + f" | {one.note}"
        for one in found
    }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.44, "0.4 s"),
        (42.4, "42 s"),
        (59.6, "1 min 00 s"),
        (612.3, "10 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (86_370.0, "1 d 00 h"),
        (200_000.0, "2 d 08 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, expected: str) -> None:
    assert told([], seconds=seconds)["time"] == f"{expected} | "


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"steps": 300, "planned_steps": 300, "stopped": "finished"}, "300 | as planned"),
        ({"steps": 200, "planned_steps": 300, "stopped": "early stop"}, "200 | early stop, of 300 planned"),
        ({"steps": 200, "planned_steps": 300, "stopped": "finished"}, "200 | of 300 planned"),
        ({"steps": 1300}, "1,300 | "),
        ({}, "2 | "),
    ],
)
def test_steps_are_told_against_the_plan(run: dict[str, Any], expected: str) -> None:
    assert told([step(1), step(2)], **run)["steps"] == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(9_999_999, "9,999,999"), (22_053_869, "22.1 million"), (1_234_567_890, "1.2 billion")],
)
def test_great_counts_stay_narrow(count: int, expected: str) -> None:
    told_so = told([step(1, tokens=2 * count, learnt_tokens=count)])["learnt tokens"]
    assert told_so == f"{expected} | of {2 * count:,} trained on"


def test_without_held_out_data_the_mean_of_training_is_told() -> None:
    assert told([step(1)], mean_loss=0.7254)["training loss"] == "0.725 | mean of the run; no held-out loss"
    assert "training loss" not in told([step(1)])


def test_a_loss_beyond_any_perplexity_has_none() -> None:
    assert told([evaluation(3, 2000.0)])["final held-out loss"] == "2000.000 | at step 3"


def test_a_run_that_says_nothing_has_only_what_the_data_says() -> None:
    assert told([]) == {"learnt tokens": "60,000 | of 500,000 in the data"}
