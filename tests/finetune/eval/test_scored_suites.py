"""Suites with references and with BFCL's questions, asked of the small endpoint and reported."""

import json
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from finetune.eval import bfcl_data
from finetune.eval.command import evaluate
from tests.finetune.eval.endpoint import Fake, call, serving, words
from tests.finetune.eval.test_bfcl import RIGHT, made_up  # noqa: F401  a fixture

DIGEST = "sha256:" + "a" * 64


def test_references_give_a_mean_score_and_a_difference(suite: Path) -> None:
    suite.write_text(
        "name: near\ntasks:\n"
        "  - {name: chrF, kind: reference, data: plain.jsonl, scorer: chrf}\n"
        "  - {name: same, kind: reference, data: plain.jsonl, scorer: exact}\n"
    )
    references = ["It is odd.", "It is even, and the first prime."]

    def reply(adapter: str | None, text: str) -> dict[str, Any]:
        return words(references["2" in text] if adapter else "It is a number.")

    with serving(Fake(reply=reply, adapters={"support": DIGEST})) as fake:
        found = evaluate(suite, ["base", "support"], fake.url, Path("out"))
    theirs = [sacrebleu.sentence_chrf("It is a number.", [one]).score / 100 for one in references]
    base, best = found.metric("base", "chrF"), found.metric("support", "chrF")
    assert base and best and base.value and best.value
    assert (base.measure, base.value, best.value) == (
        "score",
        pytest.approx(sum(theirs) / 2),
        pytest.approx(1),
    )
    change = found.difference("support", "chrF")
    assert change and change.value == pytest.approx(1 - sum(theirs) / 2)
    same = found.metric("support", "same")
    assert same and same.value == 1
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "mean score against the references" in page
    assert f"chrF {100 * theirs[0]:.1f}" in page


@pytest.mark.usefixtures("made_up")
def test_bfcl_is_asked_and_scored_by_category(suite: Path) -> None:
    suite.write_text(
        "name: leaderboard\ntasks:\n"
        "  - {name: bfcl, kind: bfcl, categories: [simple_python, irrelevance, live_relevance]}\n"
    )

    def reply(adapter: str | None, text: str) -> dict[str, Any]:
        return call(RIGHT.calls[0].name, RIGHT.calls[0].arguments) if adapter else words("Gladly.")

    with serving(Fake(reply=reply, adapters={"support": DIGEST})) as fake:
        found = evaluate(suite, ["base", "support"], fake.url, Path("out"))
    scores = {
        (name, metric.category): metric.value
        for name in ("base", "support")
        for metric in found.metrics
        if metric.model == name and metric.category
    }
    assert scores == {
        ("base", "simple_python"): 0,
        ("base", "irrelevance"): 1,
        ("base", "live_relevance"): 0,
        ("support", "simple_python"): 1,
        ("support", "irrelevance"): 0,
        ("support", "live_relevance"): 1,
    }
    sent = fake.questions()[0]["tools"][0]["function"]
    assert sent["name"] == "hotel_book" and sent["parameters"]["type"] == "object"
    # Named as in the package, on every machine.
    assert set(found.suite.files) == {
        "bfcl_eval/data/BFCL_v4_simple_python.json",
        "bfcl_eval/data/BFCL_v4_irrelevance.json",
        "bfcl_eval/data/BFCL_v4_live_relevance.json",
        "bfcl_eval/data/possible_answer/BFCL_v4_simple_python.json",
    }
    assert str(bfcl_data.package()) not in json.dumps(found.model_dump(mode="json"))
