"""Many reports beside each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import UserError
from finetune.cli import app
from finetune.eval.command import evaluate
from finetune.eval.compare import compare, comparison
from tests.finetune.eval.conftest import DIGEST, clock, reply, write_lines
from tests.finetune.eval.endpoint import Fake, words

NEXT = "sha256:" + "b" * 64


@pytest.fixture
def runs(suite: Path, fake: Fake) -> list[Path]:
    """Two versions of the adapter, each with a report against the base; the second only talks."""
    evaluate(suite, ["base", "support"], fake.url, Path("runs/first"))
    fake.adapters["support"] = NEXT
    fake.reply = lambda adapter, text: words("No.")
    evaluate(suite, ["base", "support"], fake.url, Path("runs/second"))
    return [Path("runs/first"), Path("runs/second/report.json")]


def test_versions_in_several_reports_are_compared_question_by_question(runs: list[Path]) -> None:
    found = comparison(runs)
    assert [entry.label for entry in found.entries] == ["first/base", "first/support", "second/support"]
    assert found.repeated == ["second/base"]
    values = {(one.model, one.category): one.value for one in found.metrics if one.task == "calls"}
    assert [values[entry.label, None] for entry in found.entries] == [0.25, 0.75, 0.25]
    assert values["first/support", "single"] == 1
    worse = [one for one in found.differences if one.model == "second/support" and one.task == "calls"]
    assert next((one.against, one.category, one.value, one.n) for one in worse) == ("first/base", None, 0, 4)


def test_a_value_is_what_its_own_report_says(runs: list[Path], suite: Path, fake: Fake) -> None:
    alone = evaluate(suite, ["base", "support"], fake.url, Path("runs/second"))
    found = comparison(runs)
    mine = [one for one in found.metrics if one.model == "second/support"]
    theirs = [one for one in alone.metrics if one.model == "support"]
    assert [one.model_dump(exclude={"model"}) for one in mine] == [
        one.model_dump(exclude={"model"}) for one in theirs
    ]


def test_only_questions_that_both_were_asked_are_compared(runs: list[Path], suite: Path, fake: Fake) -> None:
    # One question is edited, one is new.
    rows = [clock(n, zone, "single") for n, zone in enumerate(["Lisbon", "Quito", "Bergen", "Rome", "Bonn"])]
    write_lines(Path("calls.jsonl"), rows)
    evaluate(suite, ["support"], fake.url, Path("runs/third"))
    found = comparison([*runs, Path("runs/third")])
    third = [one for one in found.differences if (one.model, one.task) == ("third/support", "calls")]
    assert third[0].n == 2
    assert next(one.n for one in found.metrics if one.model == "third/support") == 5


def test_the_terminal_and_the_page_say_the_same(
    runs: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    app(["compare", *map(str, runs), "--html", "compared.html"], standalone_mode=False)
    told = " ".join(capsys.readouterr().out.split())
    page = Path("compared.html").read_text(encoding="utf-8")
    for said in ("first/support against first/base", "+50.0 points, no clear difference", "75.0%", "30–95%"):
        assert said in told, told
        assert said in page
    assert "second/base left out" in told and "second/base left out" in page
    assert DIGEST in page and NEXT in page


def test_one_report_with_several_models_needs_no_other(runs: list[Path]) -> None:
    assert [entry.label for entry in comparison(runs[:1]).entries] == ["base", "support"]


def test_the_others_are_compared_with_the_one_that_is_named(runs: list[Path]) -> None:
    found = comparison(runs, against="second/support")
    pairs = {(one.model, one.against) for one in found.differences}
    assert pairs == {("first/base", "second/support"), ("first/support", "second/support")}
    with pytest.raises(
        UserError, match=r"no 'second/base' to compare with; there are first/base, first/support"
    ):
        comparison(runs, against="second/base")


def test_nothing_to_compare(suite: Path, fake: Fake) -> None:
    evaluate(suite, ["base"], fake.url, Path("alone"))
    with pytest.raises(UserError, match=r"one model to compare \(base\)"):
        compare([Path("alone")])
    with pytest.raises(UserError, match="named twice"):
        compare([Path("alone"), Path("alone/report.json")])
    with pytest.raises(UserError, match=r"nowhere.* cannot be read .*make one with `finetune eval`"):
        compare([Path("alone"), Path("nowhere")])


def test_a_task_of_two_kinds_is_refused(
    runs: list[Path], suite: Path, fake: Fake, edit: Callable[[str, str], None]
) -> None:
    edit("kind: tools, data: calls.jsonl", "kind: perplexity, data: plain.jsonl")
    fake.reply = reply
    evaluate(suite, ["base"], fake.url, Path("other"))
    with pytest.raises(
        UserError, match="'calls' is of kind tools for first/base and perplexity for other/base"
    ):
        compare([runs[0], Path("other")])
