"""Which rows each step learns from, and in which passes: a pure function of lengths, settings and seed.

Nothing here is drawn while training goes on, so a resumed run sees the very rows that the uninterrupted one
would have seen, and two processes see together what one sees alone.
"""

from collections.abc import Sequence
from functools import lru_cache

MICRO_TOKENS = {"cpu": 2048, "cuda": 4096}
"""Tokens of a pass at most, where the recipe does not say."""

FILL = {"cpu": 64, "cuda": 1}
"""A pass is filled up to a multiple of so many tokens: a CPU compiles the first product of each new shape."""

LOGITS = 1 << 24
"""Numbers in a chunk of logits at most: 64 MiB in float32."""


class Plan:
    """`steps` steps of `batch` rows out of `rows` rows, each epoch in an order of its own.

    A step may reach over the end of an epoch, so that no step is shorter than the others.
    """

    def __init__(self, rows: int, batch: int, steps: int, seed: int) -> None:
        self.rows, self.batch, self.steps, self.seed = rows, batch, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> list[int]:
        """The rows of step `step`, counted from 0."""
        places = range(step * self.batch, (step + 1) * self.batch)
        return [_order(self.rows, self.seed + at // self.rows)[at % self.rows] for at in places]


@lru_cache(maxsize=2)
def _order(rows: int, seed: int) -> list[int]:
    """The order that torch's RandomSampler gives under accelerate's seeds: seed plus epoch."""
    import torch

    order: list[int] = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


def shares(lengths: Sequence[int], limit: int, processes: int = 1) -> list[list[list[int]]]:
    """For each process its passes, each a list of indices into `lengths` of at most `limit` tokens in all.

    Rows go to the process with the least work so far, the longest row first; inside a process each row goes
    into the first pass that has room (first-fit decreasing). A row longer than `limit` is a pass of its own.
    A process without a row gets no pass.
    """
    longest_first = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    given: list[list[int]] = [[] for _ in range(processes)]
    work = [0] * processes
    for index in longest_first:
        least = work.index(min(work))
        given[least].append(index)
        work[least] += lengths[index]
    return [_passes(rows, lengths, limit) for rows in given]


def _passes(rows: Sequence[int], lengths: Sequence[int], limit: int) -> list[list[int]]:
    passes: list[list[int]] = []
    room: list[int] = []
    for index in rows:
        fitting = (number for number, left in enumerate(room) if lengths[index] <= left)
        number = next(fitting, len(passes))
        if number == len(passes):
            passes.append([])
            room.append(limit)
        passes[number].append(index)
        room[number] -= lengths[index]
    return passes
