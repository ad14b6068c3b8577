"""The data of each step, ready for the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch.utils.data import Dataset

from finetune.training.collate import Pass, lay
from finetune.training.objectives import Objective, learnt
from finetune.training.plan import Plan, shares


@dataclass(frozen=True)
class Step:
    """`passes` are this process's; `weight`, `tokens` and `learnt` are over all processes.

    `examples` are the places in the table of what is learnt from, in plan order.
    """

    number: int
    examples: list[int]
    passes: list[Pass]
    weight: float
    tokens: int
    learnt: int


class Steps(Dataset[Step]):
    """Steps of `plan` over the rows of `table`, for process `rank` of `processes`."""

    def __init__(
        self,
        table: Any,
        objective: Objective,
        plan: Plan,
        micro_tokens: int,
        *,
        fill: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._table, self._objective, self._plan = table, objective, plan
        self._limit, self._fill = micro_tokens, fill
        self._rank, self._processes = rank, processes

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, number: int) -> Step:
        places = self._plan[number]
        examples = [self._objective.rows(self._table[place]) for place in places]
        lengths = [sum(len(ids) for ids, _ in rows) for rows in examples]
        mine = shares(lengths, self._limit, self._processes)[self._rank]
        laid = list(chain.from_iterable(examples))
        return Step(
            number=number,
            examples=places,
            passes=[lay(list(chain.from_iterable(examples[at] for at in one)), self._fill) for one in mine],
            weight=self._objective.weight(laid),
            tokens=sum(lengths),
            learnt=sum(learnt(labels) for _, labels in laid),
        )


class InOrder(Plan):
    """Every row once, in the order of the table: an evaluation."""

    def __init__(self, rows: int, batch: int) -> None:
        super().__init__(rows, batch, -(-rows // batch), seed=0)

    def __getitem__(self, step: int) -> list[int]:
        return list(range(step * self.batch, min((step + 1) * self.batch, self.rows)))


def only(items: Sequence[Step]) -> Step:
    """The collator of a loader whose items are whole steps."""
    (step,) = items
    return step
