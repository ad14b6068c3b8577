"""A few of the fuzzer's foreign uploads, the same ones every time; `make fuzz` sends 3 000 others."""

from pathlib import Path

import pytest

from tests.adopted.fuzz import LAYOUTS, Tally, World, attack, fresh, fuzz


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "object":
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    with World.made(tmp_path) as made:
        monkeypatch.setenv("ENXERTO_API_KEY", made.server.key)
        yield made


def test_foreign_uploads_enter_if_they_are_right_and_are_refused_in_a_sentence(world: World) -> None:
    tally = fuzz(world, 80)
    assert tally.total >= 80
    assert tally.taken.total() > 5 and tally.refused.total() > 20
    assert len(tally.sentences) > 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_as_it_is_enters(layout: str, world: World) -> None:
    tally = Tally()
    attack(world, fresh(layout, 5), tally)
    assert tally.taken == {"as it is": 1}


def test_the_fuzzer_sees_a_wrong_update(world: World) -> None:
    foreign = fresh("mistral-finetune", 5)
    assert foreign.truth is not None
    module = next(iter(foreign.truth))
    foreign.truth[module] = foreign.truth[module] + 0.01
    with pytest.raises(AssertionError):
        attack(world, foreign, Tally())
