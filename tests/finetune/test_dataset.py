"""Sources to rows: mixed by weight, split before that, and everything counted in the manifest's entry."""

import json
from collections import Counter
from pathlib import Path

import pytest

from data.errors import UserError
from data.manifest import DatasetEntry
from data.sources import Source
from finetune.dataset import Dataset, prepare
from finetune.render import open_renderer


def write(path: Path, count: int, name: str) -> str:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{name} {number}"},
                {"role": "assistant", "content": "yes"},
            ]
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def often(dataset: Dataset) -> Counter[tuple[int, ...]]:
    return Counter(tuple(row.input_ids) for row in dataset.rows)


def test_sources_are_used_as_often_as_their_weight_says(base: Path, tmp_path: Path) -> None:
    sources = [
        Source(path=write(tmp_path / "a.jsonl", 20, "first"), weight=2.5),
        Source(path=write(tmp_path / "b.jsonl", 20, "second"), weight=0.25, format="openai"),
    ]
    dataset = prepare(sources, open_renderer(base), 100)
    assert sorted(often(dataset).values()) == [1] * 5 + [2] * 10 + [3] * 10
    entry = dataset.entry
    assert [(one.read, one.held_out, one.used) for one in entry.sources] == [(20, 0, 50), (20, 0, 5)]
    assert (entry.conversations, entry.targets, entry.heldout, dataset.heldout) == (40, 55, None, [])
    assert prepare(sources, open_renderer(base), 100).entry == entry
    assert prepare(sources, open_renderer(base), 100, mix_seed=1).entry.digest != entry.digest


def test_held_out_conversations_are_never_trained(base: Path, tmp_path: Path) -> None:
    source = Source(path=write(tmp_path / "a.jsonl", 60, "q"), weight=2)
    whole = prepare([source], open_renderer(base), 100)
    dataset = prepare([source], open_renderer(base), 100, heldout=0.2, split_seed=1)
    aside = {tuple(row.input_ids) for row in dataset.heldout}
    assert 3 <= len(aside) == len(dataset.heldout) <= 25
    assert not aside & often(dataset).keys()
    assert aside | often(dataset).keys() == often(whole).keys()
    entry = dataset.entry
    assert entry.heldout is not None
    assert (entry.heldout.share, entry.heldout.seed) == (0.2, 1)
    assert entry.heldout.conversations == entry.heldout.groups == entry.sources[0].held_out == len(aside)
    assert entry.sources[0].used == 2 * (60 - len(aside)) == len(dataset.rows)


def test_a_held_out_side_that_stays_empty_is_refused(base: Path, tmp_path: Path) -> None:
    source = Source(path=write(tmp_path / "a.jsonl", 2, "q"))
    with pytest.raises(UserError, match="of 2 groups of conversations none fell to the held-out side"):
        prepare([source], open_renderer(base), 100, heldout=0.0001)


def test_nothing_left_to_learn_says_why(base: Path, tmp_path: Path) -> None:
    source = Source(path=write(tmp_path / "a.jsonl", 2, "q"))
    with pytest.raises(UserError, match=r"a\.jsonl: 2 longer than 16 tokens; raise data\.max_length"):
        prepare([source], open_renderer(base), 16)


def test_a_conversation_that_breaks_a_rule_is_named(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    lost = {"messages": [*good["messages"], {"role": "tool", "tool_call_id": "x", "content": "y"}]}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(lost)}\n")
    with pytest.raises(UserError, match=r"a\.jsonl:2: message 3: the result is for call 'x'"):
        prepare([Source(path=str(path))], open_renderer(base), 100)


def test_sources_of_the_first_manifests_still_read() -> None:
    entry = DatasetEntry.model_validate(
        {
            "digest": "x",
            "sources": ["a.jsonl"],
            "conversations": 1,
            "targets": 1,
            "tokens": 1,
            "learnt_tokens": 1,
        }
    )
    assert (entry.sources[0].path, entry.sources[0].used) == ("a.jsonl", None)
