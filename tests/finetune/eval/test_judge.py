"""The judge's questions and verdicts, asked of a small endpoint that obeys the real protocol."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.errors import UserError
from finetune.eval.command import evaluate
from finetune.eval.judge import SWAYED, JudgeReport, judge, weigh
from finetune.eval.statistics import mean
from tests.finetune.eval.endpoint import BASE, Fake, call, serving, words

PROMPTS = 8
Verdict = Callable[[str, str], str]


def longer(first: str, second: str) -> str:
    return "A" if len(first) > len(second) else "B"


@pytest.fixture
def report(suite: Path, fake: Fake) -> Path:
    """Base and adapter on 8 chat prompts; the adapter ("support heard: ...") always says more."""
    prompts = ", ".join(f"Say {n}." for n in range(PROMPTS))
    suite.write_text(f"name: talk\ntasks:\n  - {{name: chat, kind: chat, prompts: [{prompts}]}}\n")
    evaluate(suite, ["base", "support"], fake.url, Path("out"))
    return Path("out/report.json")


@pytest.fixture
def bench() -> Iterator[Callable[[Verdict], Fake]]:
    """Makes judges, each at an endpoint of its own."""
    running = []

    def made(verdict: Verdict) -> Fake:
        def reply(adapter: str | None, text: str) -> dict[str, object]:
            shown = json.loads(text)
            return words(f"Because. Verdict: {verdict(shown['answer_a'], shown['answer_b'])}")

        context = serving(Fake(reply=reply))
        running.append(context)
        return context.__enter__()

    yield made
    for context in running:
        context.__exit__(None, None, None)


Bench = Callable[[Verdict], Fake]


def test_a_preference_that_survives_the_swap_counts(report: Path, bench: Bench) -> None:
    court = bench(longer)
    found = judge(report, BASE, court.url)
    [score] = found.scores
    assert (score.model, score.against, score.wins, score.losses, score.ties) == ("support", "base", 8, 0, 0)
    expected = mean([1.0] * PROMPTS, 0)
    assert (score.value, score.low, score.high) == expected
    assert len(court.asked) == 2 * PROMPTS
    assert JudgeReport.model_validate_json(Path("out/judge.json").read_bytes()) == found


def test_a_judge_that_prefers_a_place_says_nothing_of_the_answers(report: Path, bench: Bench) -> None:
    [score] = judge(report, BASE, bench(lambda first, second: "A").url).scores
    assert (score.wins, score.losses, score.ties, score.swayed) == (0, 0, PROMPTS, PROMPTS)
    assert score.value == 0.5


def test_both_orders_are_asked(report: Path, bench: Bench) -> None:
    court = bench(longer)
    judge(report, BASE, court.url)
    shown = [json.loads(body["messages"][-1]["content"]) for body in court.asked]
    orders = {(one["conversation"][0]["content"], one["answer_a"].split()[0]) for one in shown}
    assert orders == {(f"Say {n}.", name) for n in range(PROMPTS) for name in ("base", "support")}


def test_nothing_is_asked_twice(report: Path, bench: Bench) -> None:
    court = bench(longer)
    first = judge(report, BASE, court.url)
    assert judge(report, BASE, court.url) == first
    assert len(court.asked) == 2 * PROMPTS


def test_a_pair_without_a_verdict_is_unscored(report: Path, bench: Bench) -> None:
    def silent_on_one(first: str, second: str) -> str:
        return "maybe" if "Say 3." in first else longer(first, second)

    found = judge(report, BASE, bench(silent_on_one).url)
    [score] = found.scores
    assert (score.wins, score.unscored) == (PROMPTS - 1, 1)
    [unscored] = [pair for pair in found.pairs if pair.outcome is None]
    assert unscored.why == "the judge ended without a verdict"


def test_the_servers_own_key_goes_to_no_other_judge(
    report: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", "secret")
    court = bench(longer)
    judge(report, BASE, court.url)
    assert court.keys == {None}
    monkeypatch.setenv("ENXERTO_JUDGE_KEY", "judges")
    Path("out/judge.jsonl").unlink()
    judge(report, BASE, court.url)
    assert court.keys == {None, "Bearer judges"}


def test_calls_and_equal_words_are_not_asked_about(suite: Path, bench: Bench) -> None:
    suite.write_text("name: talk\ntasks:\n  - {name: chat, kind: chat, prompts: [Same, Call, Differ]}\n")

    def reply(adapter: str | None, text: str) -> dict[str, object]:
        if text == "Same":
            return words("the same")
        return call("clock", "{}") if text == "Call" and adapter else words(f"by {adapter}")

    with serving(Fake(reply=reply, adapters={"support": "sha256:" + "a" * 64})) as fake:
        evaluate(suite, ["base", "support"], fake.url, Path("out"))
    court = bench(longer)
    found = judge(Path("out/report.json"), BASE, court.url)
    assert [(pair.outcome, pair.why) for pair in found.pairs] == [
        ("tie", "the same words"),
        (None, "one of them gave no answer in words"),
        ("win", "in both orders"),
    ]
    assert len(court.asked) == 2


def test_a_report_of_one_model_is_refused(suite: Path, fake: Fake) -> None:
    evaluate(suite, ["base"], fake.url, Path("out"))
    with pytest.raises(UserError, match="it needs two models"):
        judge(Path("out/report.json"), BASE, fake.url)


def test_a_judge_that_is_gone_is_named(report: Path, bench: Bench) -> None:
    with pytest.raises(UserError, match=r"nobody answers at http://127\.0\.0\.1:9 "):
        judge(report, BASE, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("replies", "outcome", "why"),
    [
        (["Verdict: A", "Verdict: B"], "win", "in both orders"),
        (["Verdict: B", "verdict: a"], "loss", "in both orders"),
        (["**Verdict: A**", "Verdict: **B**."], "win", "in both orders"),
        (["Verdict: tie", "Verdict: Tie"], "tie", "in both orders"),
        (["Verdict: A", "Verdict: tie"], "tie", "preferred in one order only"),
        (["Verdict: B", "Verdict: B"], "tie", SWAYED),
        (["Not `Verdict: B`. Verdict: A", "Verdict: B"], "win", "in both orders"),
        (["Verdict: A", ""], None, "the judge ended without a verdict"),
        (["Verdict: Absolutely", "Verdict: B"], None, "the judge ended without a verdict"),
    ],
)
def test_two_verdicts_make_an_outcome(replies: list[str], outcome: str | None, why: str) -> None:
    assert weigh(replies) == (outcome, why)
