"""A row over `data.max_length` is cut behind a whole answer, and half of an answer is never learned."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources import Source
from finetune.dataset import prepare
from finetune.render import Renderer, Sample, open_renderer
from finetune.too_long import answers, fitted

WORDS = "Line of a long letter. " * 40


@pytest.fixture(scope="module")
def renderer(base: Path) -> Renderer:
    return open_renderer(base)


def call(arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    function = {"name": "write", "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"id": f"call{number:05}", "function": function}]}


def answered(number: int = 1) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": f"call{number:05}", "content": "done"}


USER, BRIEF = {"role": "user", "content": "q"}, {"role": "assistant", "content": "brief"}
LETTER = {"role": "assistant", "content": WORDS}

CASES = {
    "a text": ([USER, LETTER], 0),
    "a call": ([USER, call({"text": WORDS})], 0),
    "a text behind a whole one": ([USER, BRIEF, USER, LETTER], 1),
    "a call behind a whole one": (
        [USER, call({"text": "x"}), answered(), BRIEF, USER, call({"a": WORDS}, 2)], 2),
    "parallel calls": (
        [USER, BRIEF, USER, {"role": "assistant", "tool_calls": [
            *call({"a": "x"}, 2)["tool_calls"], *call({"a": WORDS}, 3)["tool_calls"]]}], 1),
    "a result between": ([USER, call({"text": "x"}), answered() | {"content": WORDS}, BRIEF], 1),
    "a question in front": ([USER | {"content": WORDS}, BRIEF], 0),
}  # fmt: skip
"""Conversations, and how many of their answers stand whole within 160 tokens."""


@pytest.mark.parametrize(("messages", "whole"), CASES.values(), ids=CASES)
def test_what_is_learned_ends_in_its_stop_token(
    renderer: Renderer, tmp_path: Path, messages: list[dict[str, Any]], whole: int
) -> None:
    path = tmp_path / "a.jsonl"
    short = [{"role": "user", "content": "other"}, BRIEF]
    path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in (messages, short)))
    made = prepare([Source(path=str(path))], renderer, 160, too_long="truncate")
    (full,) = renderer.samples({"messages": messages})
    stop = full.input_ids[-1]
    rows = [row for row in made.rows if row.where.endswith(":1")]
    assert len(rows) == bool(whole) and made.entry.targets == whole + 1
    for row in rows:
        assert len(row.input_ids) <= 160 and row.input_ids == full.input_ids[: len(row.input_ids)]
        ends = [end for _, end in answers(row)]
        assert len(ends) == whole and all(row.input_ids[end - 1] == stop for end in ends)
        assert ends[-1] == len(row.input_ids)  # nothing is computed that nothing is learned from
    lost = len(answers(full)) - whole
    counted = (
        {"cut to 160 tokens": 1, "answers behind a cut": lost} if whole else {"longer than 160 tokens": 1}
    )
    assert made.entry.dropped == counted


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.integers(1, 45))
def test_a_cut_keeps_whole_answers_and_as_many_as_fit(mask: list[int], limit: int) -> None:
    sample = Sample(list(range(len(mask))), mask)
    kept = fitted(sample, limit, "truncate")
    fit = [span for span in answers(sample) if span[1] <= limit]
    if len(mask) <= limit:
        assert kept is sample
    elif not fit:
        assert kept is None
    else:
        assert kept is not None and answers(kept) == fit and len(kept.input_ids) <= limit
    assert fitted(sample, limit, "drop") is (sample if len(mask) <= limit else None)
    assert fitted(sample, None, "drop") is sample
