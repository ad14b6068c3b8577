"""Which rows a step learns from, and in which passes."""

from collections import Counter
from itertools import chain

import torch
from accelerate.data_loader import SeedableRandomSampler
from hypothesis import given
from hypothesis import strategies as st

from finetune.training.plan import Plan, shares


def test_the_order_is_that_of_accelerates_seeded_sampler() -> None:
    plan = Plan(rows=10, batch=5, steps=4, seed=7)
    sampler = SeedableRandomSampler(range(10), generator=torch.Generator(), data_seed=7)
    sampler.set_epoch(0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert [*first, *sampler] == list(chain.from_iterable(plan[step] for step in range(4)))


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 5))
def test_every_epoch_sees_every_row_once(rows: int, batch: int, seed: int) -> None:
    steps = -(-3 * rows // batch)
    stream = [row for step in range(steps) for row in Plan(rows, batch, steps, seed)[step]]
    assert len(stream) == steps * batch
    for epoch in range(3):
        assert sorted(stream[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 60), st.integers(1, 4))
def test_shares_hold_every_row_once_within_the_limit(lengths: list[int], limit: int, processes: int) -> None:
    given_out = shares(lengths, limit, processes)
    assert len(given_out) == processes
    rows = Counter(row for passes in given_out for one in passes for row in one)
    assert rows == Counter(range(len(lengths)))
    for one in chain.from_iterable(given_out):
        assert sum(lengths[row] for row in one) <= limit or len(one) == 1
    work = [sum(lengths[row] for one in passes for row in one) for passes in given_out]
    assert max(work) - min(work) <= max(lengths)


def test_passes_are_few() -> None:
    ((*passes,),) = [shares([6, 5, 4, 3, 2], 10)[0]]
    assert passes == [[0, 2], [1, 3, 4]]
