"""Pairs that are counted, against those that the trainer's attention computes."""

import pytest

from finetune.estimate.attention import BLOCK, KEPT, computed, kept
from finetune.model import attention


@pytest.mark.parametrize("length", [1, 256, 257, 512, 513, 2000])
def test_pairs_are_those_of_the_blocks_that_attention_takes(length: int) -> None:
    assert (BLOCK, KEPT) == (attention.BLOCK, attention.KEPT)
    blocks = [(end - start, end - first) for first, start, end in attention.blocks([length])]
    assert computed(length) == sum(queries * keys for queries, keys in blocks)
    assert kept(length) == sum(queries * keys for queries, keys in blocks if keys <= KEPT)
