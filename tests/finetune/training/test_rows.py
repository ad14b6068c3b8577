"""Rows on disk: what is asked of them without decoding them."""

from pathlib import Path

import pytest
from datasets import Dataset, load_from_disk

from data.manifest import DatasetEntry
from finetune.training.rows import Rows

ENTRY = DatasetEntry(digest="", sources=[], conversations=0, targets=0, tokens=0, learnt_tokens=0)


@pytest.mark.parametrize(
    ("rows", "longest"),
    [
        ([{"input_ids": [1] * length} for length in (3, 9, 4)], 9),
        ([{"input_ids": [1] * a, "rejected_ids": [1] * b} for a, b in ((9, 1), (5, 6), (2, 8))], 11),
    ],
)
def test_the_longest_example_counts_both_answers_of_a_pair(
    tmp_path: Path, rows: list[dict[str, list[int]]], longest: int
) -> None:
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "rows"))
    assert Rows(load_from_disk(str(tmp_path / "rows")), None, ENTRY).longest == longest
