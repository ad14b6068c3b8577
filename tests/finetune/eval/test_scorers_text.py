"""Scores of words; expected values come from sacrebleu, from rouge-score, or from a sheet of paper."""

import json
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from finetune.eval.scorers_text import SCORERS, chrf, contains, exact, rouge_l

# {"expected", "got", "f1"}: RougeScorer(["rougeL"]) of rouge-score 0.1.2, without stemming.
ROUGE = json.loads(Path(__file__).with_name("rouge_l.json").read_text(encoding="utf-8"))
PAIRS = [
    ("The room is ready.", "Your room is ready now."),
    ("O pequeno-almoço começa às 7h.", "O pequeno almoço é às sete."),
    ("早餐七点开始。", "早餐从七点开始"),
    ("yes", "no"),
]


@pytest.mark.parametrize("name", SCORERS)
@given(text=st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1))
def test_a_reference_is_right_by_its_own_measure(name: str, text: str) -> None:
    assert SCORERS[name](text, text).score == pytest.approx(1)


@pytest.mark.parametrize(("expected", "got"), PAIRS)
def test_chrf_is_sacrebleus(expected: str, got: str) -> None:
    assert chrf(expected, got).score == pytest.approx(sacrebleu.sentence_chrf(got, [expected]).score / 100)


def test_chrf_by_hand() -> None:
    # 2 of 3 letters, 1 of 2 pairs, 0 of 1 triple; precision and recall are the same, and so is their F2.
    assert chrf("abd", "abc").score == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # F2 leans to recall: all that is said is right, and half of what was wanted is missing.
    assert (chrf("abcdefgh", "abcd").score or 0) < (chrf("abcd", "abcdefgh").score or 0)


@pytest.mark.parametrize("row", ROUGE, ids=lambda row: row["got"][:30])
def test_rouge_l_is_that_of_rouge_score(row: dict[str, str]) -> None:
    assert rouge_l(row["expected"], row["got"]).score == pytest.approx(row["f1"], abs=1e-6)


def test_rouge_l_reads_words_of_any_script() -> None:
    # rouge-score reads only a to z: it would see "pequeno", "almo", "o" here, and nothing in Greek.
    assert rouge_l("pequeno almoço", "pequeno almoco").score == 0.5
    assert rouge_l("καλημέρα σας", "καλημέρα").score == pytest.approx(2 / 3)
    assert rouge_l("...", "!!!").score == 0


@pytest.mark.parametrize(
    ("expected", "got", "is_exact", "is_within"),
    [
        ("Room 12", "Room 12", 1, 1),
        ("Room 12", " Room\n12 ", 1, 1),
        ("Room 12", "room 12", 0, 1),
        ("Room 12", "It is ROOM 12, upstairs.", 0, 1),
        ("Room 12", "Room 1 2", 0, 0),
        ("Évora", "E\u0301vora", 1, 1),
        ("Évora", "Evora", 0, 0),
        ("straße", "STRASSE", 0, 1),
    ],
)
def test_exact_and_contains(expected: str, got: str, is_exact: int, is_within: int) -> None:
    assert exact(expected, got).score == is_exact
    assert contains(expected, got).score == is_within
