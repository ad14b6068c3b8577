"""Passes, against the steps that the trainer would take."""

from typing import Any

import pytest

from finetune.estimate.rows import Rows
from finetune.estimate.work import work
from finetune.recipe import Training
from finetune.training.labels import IGNORED
from finetune.training.objectives import Preferred, Supervised, learnt
from finetune.training.plan import Plan
from finetune.training.steps import Steps

LENGTHS = [37 + 91 * at % 400 for at in range(50)]


class Table(list[dict[str, Any]]):
    """A row of each length; the last third of it is learnt."""


def row(length: int) -> tuple[list[int], list[int]]:
    return [1] * length, [IGNORED] * (length - length // 3) + [1] * (length // 3)


def table(pairs: bool) -> Table:
    made = Table()
    for length in LENGTHS:
        ids, labels = row(length)
        more = dict(zip(("rejected_ids", "rejected_labels"), row(length + 5), strict=True)) if pairs else {}
        made.append({"input_ids": ids, "labels": labels, **more})
    return made


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(("micro", "fill"), [(64, 1), (700, 64), (4096, 64)])
def test_passes_are_those_of_the_trainer(micro: int, fill: int, pairs: bool) -> None:
    settings = Training(epochs=2, batch=7, seed=3)
    lengths = [[length, length + 5] if pairs else [length] for length in LENGTHS]
    rows = Rows([[(one, one // 3) for one in example] for example in lengths], 50, 0, "")
    found = work(rows, settings, micro, fill, exact=True)

    plan = Plan(50, 7, settings.steps_for(50), 3)
    steps = Steps(table(pairs), Preferred(0.1) if pairs else Supervised(), plan, micro, fill=fill)
    expected = [
        [[int(length) for length in one.inputs["rows"]] for one in steps[number].passes]
        for number in range(len(plan))
    ]
    assert [[[length for length, _ in one] for one in step] for step in found.shown] == expected
    every = [steps[number] for number in range(len(plan))]
    assert found.steps == len(plan) == 14
    lengths = {length for step in expected for one in step for length in one}
    assert found.lengths == (len(lengths), len({sum(one) for step in expected for one in step}))
    assert found.tokens == pytest.approx(sum(step.tokens for step in every) / len(every))
    assert found.learnt == pytest.approx(sum(step.learnt for step in every) / len(every))
    assert found.widest == (
        max(one.labels.shape[1] for step in every for one in step.passes),
        max(learnt(one.labels[0].tolist()) for step in every for one in step.passes),
    )


def test_without_torchs_orders_the_passes_are_much_the_same() -> None:
    rows = Rows([[(length, length // 3)] for length in LENGTHS], 50, 0, "")
    exact, likely = (work(rows, Training(steps=300, batch=7), 1024, 1, one) for one in (True, False))
    assert likely.tokens == pytest.approx(exact.tokens, rel=0.05)
    assert len(likely.passes) == pytest.approx(len(exact.passes), rel=0.05)
    assert likely.widest[0] == pytest.approx(exact.widest[0], rel=0.05)


def test_of_a_long_run_some_steps_are_looked_at() -> None:
    rows = Rows([[(100, 30)]], 1_000_000, 0, "")
    found = work(rows, Training(epochs=1, batch=10), 4096, 1, exact=False)
    assert found.steps == 100_000
    assert len(found.shown) == 1000
    assert found.tokens == 1000


@pytest.mark.parametrize(("settings", "count"), [({}, 10), ({"evaluation": {"steps": 30}}, 4)])
def test_evaluations_are_counted_with_the_last_one(settings: dict[str, Any], count: int) -> None:
    rows = Rows([[(100, 30)]], 1000, 40, "")
    found = work(rows, Training(steps=100, **settings), 4096, 1, exact=False)
    assert (found.evaluations, found.evaluated) == (count, count * 40 * 100)
