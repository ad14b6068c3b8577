"""Rows of the sample data, against what training makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.sources import Source
from finetune.dataset import prepare
from finetune.estimate import rows as rows_module
from finetune.estimate.rows import Rows, counted, given
from finetune.preferences import prepare_pairs
from finetune.recipe import Recipe
from finetune.render import open_renderer
from tests.finetune.estimate.model import recipe

TRAIN, PAIRS = "data/samples/train.jsonl", "data/samples/preferences.jsonl"


def wanted(method: str = "sft", **data: Any) -> Recipe:
    plain = recipe(method).model_dump(mode="json")
    return Recipe.model_validate(plain | {"data": {"train": [PAIRS if method == "dpo" else TRAIN], **data}})


def tokens(found: Rows, of: int = 0) -> int:
    return sum(row[of] for example in found.examples for row in example)


@pytest.mark.parametrize(
    "data", [{}, {"max_length": 400}, {"max_length": 400, "too_long": "truncate"}], ids=str
)
def test_rows_are_those_that_training_makes(base: Path, data: dict[str, Any]) -> None:
    one = wanted(**data)
    renderer = open_renderer(base)
    found = counted(one, renderer, whole=True)
    made = prepare(
        [Source(path=TRAIN)], renderer, one.data.max_length, learn="all", too_long=one.data.too_long
    )
    assert [length for ((length, _),) in found.examples] == [len(row.input_ids) for row in made.rows]
    if "too_long" not in data:
        assert tokens(found, 1) == made.entry.learnt_tokens
    assert (found.count, found.heldout, found.origin) == (len(made.rows), 0, "counted")


def test_pairs_are_those_that_training_makes(base: Path) -> None:
    found = counted(wanted("dpo", max_length=600), open_renderer(base), whole=True)
    made = prepare_pairs([Source(path=PAIRS)], open_renderer(base), 600)
    assert [example[1][0] for example in found.examples] == [
        len(pair.prompt) + len(pair.rejected) for pair in made.rows
    ]
    assert tokens(found) == made.entry.tokens


def test_characters_stand_for_tokens_where_no_renderer_is(base: Path) -> None:
    found, exact = (counted(wanted(), renderer, whole=True) for renderer in (None, open_renderer(base)))
    assert found.count == exact.count
    assert tokens(found) == pytest.approx(tokens(exact), rel=0.15)
    assert "guessed" in found.origin
    assert "guessed" not in exact.origin


def test_each_target_is_a_row_where_the_format_wants_it() -> None:
    conversations = [json.loads(line) for line in Path(TRAIN).read_text(encoding="utf-8").splitlines()]
    answers = sum(message["role"] == "assistant" for one in conversations for message in one["messages"])
    assert counted(wanted(max_length=100_000), None, whole=False).count == answers


def test_a_large_source_is_known_by_a_sample(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = counted(wanted(), open_renderer(base), whole=True)
    monkeypatch.setattr(rows_module, "_LOOKED_AT", 200)
    found = counted(wanted(), open_renderer(base), whole=True)
    assert len(found.examples) == 200
    assert found.count == exact.count
    assert found.mean == pytest.approx(exact.mean, rel=0.1)
    assert "from 200 records of each source" in found.origin
    assert counted(wanted(), open_renderer(base), whole=True) == found


def test_weights_and_the_heldout_share_count() -> None:
    sources = [{"path": TRAIN, "weight": 0.5}, {"path": "data/samples/heldout_chat.jsonl", "weight": 3}]
    found = counted(wanted(train=sources, heldout=0.2), None, whole=True)
    assert found.count == pytest.approx(0.8 * (762 / 2 + 30 * 3), abs=1)
    assert found.heldout == pytest.approx(0.2 * (762 + 30), abs=1)
    short = sum(example[0][0] < 150 for example in found.examples) / len(found.examples)
    alone = counted(wanted(), None, whole=True)
    assert short > sum(example[0][0] < 150 for example in alone.examples) / len(alone.examples)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": ["hf:someone/chats"]}, "hf:someone/chats is not here to be counted; say how many"),
        ({"train": ["data/samples/none.jsonl"]}, "data/samples/none.jsonl: there is no such file"),
        ({"max_length": 16}, "nothing to learn in data/samples/train.jsonl; raise data.max_length"),
    ],
)
def test_data_that_gives_no_rows_is_one_sentence(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        counted(wanted(**data), None, whole=True)
    assert "\n" not in str(refused.value)


def test_what_a_person_says_is_taken() -> None:
    plain, pairs = given(wanted(heldout=0.1), 1000, 301), given(wanted("dpo"), 10, 301)
    assert (plain.count, plain.heldout, plain.mean) == (900, 100, 301)
    assert [length for length, _ in pairs.examples[0]] == [151, 150]
