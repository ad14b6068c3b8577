"""Records made up at random: a short form of `make fuzz`."""

from pathlib import Path
from typing import Any

from bench.fuzz_data.campaign import fuzz
from bench.fuzz_data.formats import FORMATS
from bench.fuzz_data.outcome import Outcome, outcome
from bench.fuzz_data.report import campaign, written
from finetune.render import open_renderer

SEED = 17
EACH = 24


def test_no_leaf_of_a_record_is_dropped_without_a_word(base: Path) -> None:
    report = campaign(EACH, SEED, open_renderer(base), processes=1, batch=16)
    missed = [goal for goal in report.goals(EACH) if not goal.met]
    assert not missed, "\n".join(written(report))


def test_every_format_is_changed_and_most_are_taken() -> None:
    for name in FORMATS:
        tally = fuzz(name, EACH, SEED)
        assert tally.records == EACH and EACH // 2 < tally.changed < EACH, name
        assert tally.refused, name


def test_a_seed_is_one_campaign() -> None:
    seen: list[Any] = []

    def read(value: Any, *more: Any) -> Outcome:
        seen.append(value)
        return outcome(value, *more)

    fuzz("openai", 5, 3, read)
    first, seen = seen, []
    fuzz("openai", 5, 3, read)
    assert first == seen != []
    second, seen = seen, []
    fuzz("openai", 5, 4, read)
    assert seen != second
