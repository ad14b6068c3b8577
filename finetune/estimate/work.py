"""What the steps of a run compute: passes of rows, planned as the trainer plans them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from finetune.estimate.attention import kept
from finetune.estimate.rows import Row, Rows
from finetune.recipe import Training
from finetune.training.plan import Plan, shares

_LOOKED_AT = 1000
"""Steps of a long run, evenly spaced: what a mean step is like, and how wide the widest pass."""

Pass = list[Row]


@dataclass(frozen=True)
class Work:
    """`shown` are the passes of each step that was looked at, of `steps` in all.

    `tokens` are those of a mean step, without what fills its passes up; `evaluated` those of all
    `evaluations` together.
    """

    steps: int
    shown: list[list[Pass]]
    tokens: float
    evaluations: int
    evaluated: float

    @property
    def passes(self) -> list[Pass]:
        return list(chain.from_iterable(self.shown))

    def each(self, numbers: Sequence[float]) -> float:
        """`numbers`, one for each pass that was looked at, added up over a mean step."""
        return sum(numbers) / len(self.shown)

    @property
    def learnt(self) -> float:
        """Learnt tokens of a mean step."""
        return self.each([sum(learnt for _, learnt in one) for one in self.passes])

    @property
    def lengths(self) -> tuple[int, int]:
        """How many different lengths the rows have, and the passes."""
        passes = {sum(tokens for tokens, _ in one) for one in self.passes}
        return len({tokens for one in self.passes for tokens, _ in one}), len(passes)

    @property
    def pairs(self) -> int:
        """The most weights of attention that a head keeps for a pass."""
        return max(sum(kept(tokens) for tokens, _ in one) for one in self.passes)

    @property
    def widest(self) -> tuple[int, int]:
        """The most tokens of any pass, and the most learnt ones."""
        return (
            max(sum(tokens for tokens, _ in one) for one in self.passes),
            max(sum(learnt for _, learnt in one) for one in self.passes),
        )


class _Likely(Plan):
    """A plan whose orders are not the trainer's, which only torch can draw."""

    def __getitem__(self, step: int) -> list[int]:
        chooser = random.Random(f"{self.seed} {step}")
        return [chooser.randrange(self.rows) for _ in range(self.batch)]


def work(rows: Rows, settings: Training, micro_tokens: int, filler: int, exact: bool) -> Work:
    """The work of `settings` over `rows`, in passes of at most `micro_tokens`.

    `filler`: a pass is filled up to a multiple of so many tokens. `exact` plans with torch's own orders.
    """
    steps = settings.steps_for(rows.count)
    plan = (Plan if exact else _Likely)(rows.count, settings.batch, steps, settings.seed)
    stride = max(1, steps // _LOOKED_AT)
    shown, tokens = [], 0
    for step in range(0, steps, stride):
        examples = [rows.examples[place % len(rows.examples)] for place in plan[step]]
        lengths = [sum(length for length, _ in one) for one in examples]
        tokens += sum(lengths)
        (mine,) = shares(lengths, micro_tokens)
        laid = [list(chain.from_iterable(examples[at] for at in one)) for one in mine]
        shown.append([_filled(one, filler) for one in laid])
    every = settings.evaluation.steps or max(1, -(-steps // 10))  # as the trainer has it
    evaluations = -(-steps // every) if rows.heldout else 0
    evaluated = evaluations * rows.heldout * rows.mean
    return Work(steps, shown, tokens / len(shown), evaluations, evaluated)


def _filled(rows: Pass, multiple: int) -> Pass:
    short = -sum(tokens for tokens, _ in rows) % multiple
    return [*rows, (short, 0)] if short else rows
