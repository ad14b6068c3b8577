"""Bad records stop a run or are skipped, as the recipe says, and each of them is counted and named."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.sources import Source
from finetune.dataset import Dataset, prepare
from finetune.intake import SKIPPED, Intake
from finetune.preferences import Pairs, prepare_pairs
from finetune.render import Renderer, open_renderer
from tests.finetune.refusing import WORD, refusing_base

USER, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
GOOD = {"messages": [USER, ANSWER]}
PAIR = {"prompt": "q", "chosen": "yes", "rejected": "no"}

BAD: dict[str, str] = {
    "cannot be read": "{broken",
    "breaks a rule": json.dumps(
        {"messages": [USER, ANSWER, {"role": "tool", "tool_call_id": "x", "content": "y"}]}),
    "cannot be rendered": json.dumps({"messages": [USER, ANSWER | {"content": WORD}]}),
}  # fmt: skip
BAD_PAIRS = {
    "cannot be read": "[]",
    "breaks a rule": json.dumps({"prompt": [USER, {"role": "tool", "tool_call_id": "x", "content": "y"}]}
                                | {"chosen": "a", "rejected": "b"}),
    "cannot be rendered": json.dumps(PAIR | {"chosen": WORD}),
}  # fmt: skip


@pytest.fixture(scope="module")
def renderer(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    return open_renderer(refusing_base(tmp_path_factory.mktemp("home"), base))


Made = Callable[..., Dataset | Pairs]
KINDS = [(prepare, GOOD, BAD), (prepare_pairs, PAIR, BAD_PAIRS)]


def numbered(good: dict[str, Any], number: int) -> str:
    """Another question each time, so that nothing is a duplicate."""
    return json.dumps(good).replace('"q"', f'"q{number}"')


@pytest.mark.parametrize(("make", "good", "bad"), KINDS, ids=["conversations", "preferences"])
def test_skipped_records_are_counted_and_named(
    renderer: Renderer, tmp_path: Path, make: Made, good: dict[str, Any], bad: dict[str, str]
) -> None:
    path = tmp_path / "a.jsonl"
    lines = [numbered(good, 1), *bad.values(), numbered(good, 2)]
    path.write_text("\n".join(lines) + "\n")
    made = make([Source(path=str(path))], renderer, 100, intake=Intake("skip"))
    assert made.entry.dropped == dict.fromkeys(bad, 1)
    assert [row.where for row in made.rows] == [f"{path}:1", f"{path}:5"]
    assert made.entry.conversations == 2
    made.intake.write(tmp_path)
    written = [json.loads(line) for line in (tmp_path / SKIPPED).read_text().splitlines()]
    assert [(one["where"], one["reason"]) for one in written] == [
        (f"{path}:{number}", reason) for number, reason in enumerate(bad, 2)
    ]
    assert all(one["problem"].rstrip().endswith(".") for one in written)


@pytest.mark.parametrize(("make", "good", "bad"), KINDS, ids=["conversations", "preferences"])
@pytest.mark.parametrize("reason", BAD)
def test_a_stop_names_the_first_and_counts_the_others(
    renderer: Renderer, tmp_path: Path, make: Made, good: dict[str, Any], bad: dict[str, str], reason: str
) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_text("\n".join([numbered(good, 1), bad[reason], bad["cannot be read"]]) + "\n")
    other.write_text(numbered(good, 2) + "\n" + bad["breaks a rule"] + "\n")
    with pytest.raises(UserError) as caught:
        make([Source(path=str(path)), Source(path=str(other))], renderer, 100)
    said = str(caught.value)
    assert said.startswith(f"{path}:2: ")
    assert " 2 more of 5 records cannot be learned either; `finetune validate` names every one." in said
    assert said.count("data.on_error: skip") == 1  # the next step that fits any number of them


def test_one_bad_record_of_many_does_not_end_a_run_that_skips(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(numbered(GOOD, number) + "\n" for number in range(200)) + "oops\n")
    made = prepare([Source(path=str(path))], renderer, 100, intake=Intake("skip"), most_dropped=0.1)
    assert (len(made.rows), made.entry.dropped) == (200, {"cannot be read": 1})


@pytest.mark.parametrize("container", ["array", "gzip", "binary"])
def test_a_file_that_ends_early_is_never_skipped(renderer: Renderer, tmp_path: Path, container: str) -> None:
    """One record with a problem may stand for all that is behind it."""
    lines = [numbered(GOOD, number) for number in range(2000)]
    path = tmp_path / "a.json"
    if container == "array":
        path.write_text("[" + ",".join(lines[:3]) + ", {broken} ," + ",".join(lines[3:]) + "]")
    elif container == "gzip":
        path.write_bytes(gzip.compress("\n".join(lines).encode())[:-2000])
    else:
        path.write_bytes(b"PK\x03\x04 an archive")
    with pytest.raises(UserError, match=r"a\.json:\d+: "):
        prepare([Source(path=str(path))], renderer, 100, intake=Intake("skip"))


def test_too_much_left_out_is_an_error_that_says_how_to_go_on(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    long = json.dumps({"messages": [USER, ANSWER | {"content": "word " * 100}]})
    path.write_text("\n".join([numbered(GOOD, 1), long, "oops"]) + "\n")
    sources = [Source(path=str(path))]
    with pytest.raises(UserError) as caught:
        prepare(sources, renderer, 100, intake=Intake("skip"), most_dropped=0.5)
    said = str(caught.value)
    assert "66.7% of what could be learned is left out (1 cannot be read, 1 longer than 100 tokens)" in said
    assert "raise data.max_length (the longest row has 133 tokens)" in said
    assert "set data.limits.dropped to 0.667" in said
    assert prepare(sources, renderer, 100, intake=Intake("skip"), most_dropped=0.667).rows


def test_nothing_to_learn_names_the_reason(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("oops\n")
    with pytest.raises(UserError, match=r"1 cannot be read \(the first is .*a\.jsonl:1: not JSON") as caught:
        prepare([Source(path=str(path))], renderer, 100, intake=Intake("skip"))
    assert "max_length" not in str(caught.value) and "on_error" not in str(caught.value)


def test_ignored_keys_are_passed_over_and_counted(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record = {"messages": [USER | {"mood": "calm"}, ANSWER], "my notes": "x", "source": "forum"}
    path.write_text(json.dumps(record) + "\n" + json.dumps(GOOD) + "\n")
    ignore = frozenset({"messages[].mood", "my notes"})
    made = prepare([Source(path=str(path))], renderer, 100, ignore=ignore)
    assert made.entry.unused == {"messages[].mood": 1, "my notes": 1, "source": 1}
    for missing in ignore:
        with pytest.raises(UserError, match=r"data\.ignore"):
            prepare([Source(path=str(path))], renderer, 100, ignore=ignore - {missing})


PREFERENCES = [
    PAIR,
    {"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"},
     "rejected": {"from": "gpt", "value": "b"}},
    {"input": {"messages": [USER]}, "preferred_output": [ANSWER],
     "non_preferred_output": [ANSWER | {"content": "b"}]},
    {"messages": [USER, ANSWER], "rejected_response": "b"},
]  # fmt: skip
CONVERSATIONS = [
    GOOD,
    {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    {"instruction": "q", "output": "a"},
    {"prompt": "q", "completion": "a", "chosen": None, "rejected": None},
]


@pytest.mark.parametrize("record", PREFERENCES, ids=lambda one: "+".join(one))
def test_sft_over_preferences_says_what_they_are(
    renderer: Renderer, tmp_path: Path, record: dict[str, Any]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match="its first record is a preference") as caught:
        prepare([Source(path=str(path))], renderer, 100)
    assert "`method: dpo`" in str(caught.value) and "max_length" not in str(caught.value)


@pytest.mark.parametrize("record", CONVERSATIONS, ids=lambda one: "+".join(one))
def test_dpo_over_conversations_says_what_they_are(
    renderer: Renderer, tmp_path: Path, record: dict[str, Any]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match=r"its first record is a conversation \(its keys are .*method: sft"):
        prepare_pairs([Source(path=str(path))], renderer, 100)
    assert prepare([Source(path=str(path))], renderer, 100).rows


def test_dpo_over_rated_answers_says_what_they_are(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": "q", "completion": "a", "label": True}) + "\n")
    with pytest.raises(UserError, match=r"one answer that is marked as good or bad \(`label`, as for KTO\)"):
        prepare_pairs([Source(path=str(path))], renderer, 100)


def test_conversations_beside_answers_to_compare_may_be_learned(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD | {"chosen": "a", "rejected": "b"}) + "\n")
    with pytest.raises(UserError, match=r"`data\.ignore: \[chosen, rejected\]`"):
        prepare([Source(path=str(path))], renderer, 100)
    ignore = frozenset({"chosen", "rejected"})
    assert len(prepare([Source(path=str(path))], renderer, 100, ignore=ignore).rows) == 1
