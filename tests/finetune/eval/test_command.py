"""The whole command against an endpoint that obeys the real protocol."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from data.errors import UserError
from data.report import EvalReport, read_report
from finetune.eval import metrics
from finetune.eval.command import evaluate
from finetune.eval.journal import Journal
from tests.finetune.eval.conftest import DIGEST, clock, write_lines
from tests.finetune.eval.endpoint import (
    BASE,
    FINGERPRINT,
    Fake,
    call,
    logprob,
    tokens_of,
    words,
)

Edit = Callable[[str, str], None]
OUT = Path("out")
MODELS = ["base", "support"]
# Per model: 4 tool questions, 2 requests for each of 2 perplexities, 1 chat prompt.
REQUESTS = 2 * (4 + 2 * 2 + 1)


def run(suite: Path, fake: Fake, models: list[str] | None = None) -> EvalReport:
    return evaluate(suite, models or MODELS, fake.url, OUT)


def test_base_and_adapter_side_by_side(suite: Path, fake: Fake) -> None:
    report = run(suite, fake)
    base, support = report.metric("base", "calls"), report.metric("support", "calls")
    assert base is not None and support is not None
    # The base only talks: right in the one case where no call is wanted; the adapter always calls.
    assert (base.value, base.n, base.unscored) == (0.25, 4, 0)
    assert (support.value, support.n, support.unscored) == (0.75, 4, 0)
    by_category = {metric.category: metric.value for metric in report.metrics if metric.model == "support"}
    assert by_category["single"] == by_category["far"] == 1
    assert by_category["none"] == 0
    difference = report.difference("support", "calls")
    assert difference is not None and (difference.value, difference.against, difference.n) == (0.5, "base", 4)
    assert read_report(OUT / "report.json") == report
    assert (OUT / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_perplexity_counts_the_tokens_of_the_answer_alone(suite: Path, fake: Fake) -> None:
    report = run(suite, fake)
    answers = [tokens_of("It is odd."), tokens_of("It is even, and the first prime.")]
    nats = [-sum(map(logprob, tokens)) for tokens in answers]
    metric = report.metric("support", "plain")
    assert metric is not None
    assert metric.value == pytest.approx(math.exp(sum(nats) / sum(map(len, answers))))
    results = [sample.results["base"] for sample in report.samples if sample.task == "plain"]
    assert [result.scored_tokens for result in results] == [len(tokens) for tokens in answers]
    ratio = report.difference("support", "plain")
    assert ratio is not None and ratio.value == pytest.approx(1)


def test_an_adapter_is_pinned_to_the_digest_that_answered_first(suite: Path, fake: Fake) -> None:
    report = run(suite, fake)
    assert {body["model"] for body in fake.questions()} == {BASE, f"support@{DIGEST}"}
    base, support = report.models
    assert base.is_base and (base.model, base.fingerprint) == (BASE, FINGERPRINT)
    assert not support.is_base
    assert support.adapter is not None and support.adapter.digest == DIGEST


def test_an_answer_by_another_adapter_stops_the_evaluation(suite: Path, fake: Fake) -> None:
    fake.wrong_adapter = True
    with pytest.raises(UserError, match="judged under a wrong name"):
        run(suite, fake)
    assert not (OUT / "report.json").exists()


def test_the_settings_of_the_suite_reach_the_endpoint(suite: Path, fake: Fake) -> None:
    run(suite, fake)
    asked = [body for body in fake.questions() if "prompt_logprobs" not in body]
    assert {(body["temperature"], body["max_tokens"], body["seed"]) for body in asked} == {(0, 40, 3)}
    assert sum("tools" in body for body in asked) == 2 * 4
    assert len(fake.questions()) == REQUESTS
    assert fake.most_busy <= 4


def test_questions_are_asked_at_the_same_time_up_to_the_bound(suite: Path, fake: Fake) -> None:
    fake.at_once = 4
    run(suite, fake)
    assert fake.most_busy == 4


def test_a_stopped_run_goes_on_without_asking_twice(suite: Path, fake: Fake, own_home: Path) -> None:
    first = run(suite, fake)
    journal = OUT / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 14
    # As a kill leaves it: eight whole lines and half of the ninth.
    journal.write_bytes(b"".join(lines[:8]) + lines[8][: len(lines[8]) // 2])
    (own_home / "answers.sqlite").unlink()
    fake.asked.clear()
    second = run(suite, fake)
    missing = [json.loads(line) for line in lines[8:]]
    expected = sum(2 if record["task"] == "plain" else 1 for record in missing)
    assert len(fake.questions()) == expected
    assert second.reused == 8
    assert second.metrics == first.metrics
    assert len({json.loads(line)["key"] for line in journal.read_bytes().splitlines()}) == 14

    fake.asked.clear()
    assert run(suite, fake).reused == 14
    assert fake.questions() == []


def test_a_run_killed_in_the_middle_goes_on(suite: Path, fake: Fake) -> None:
    fake.delay_s, fake.slow = 600, "Quito"  # so that it is not over before it is killed
    program = "import sys, pathlib as p; from finetune.eval.command import evaluate as e; "
    program += "e(p.Path(sys.argv[1]), ['base', 'support'], sys.argv[2], p.Path('out'))"
    journal = OUT / "answers.jsonl"
    with subprocess.Popen([sys.executable, "-c", program, str(suite), fake.url]) as process:
        while not (journal.exists() and journal.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    kept = journal.read_bytes().count(b"\n")
    assert 0 < kept < 14 and not (OUT / "report.json").exists()
    fake.delay_s = 0
    report = run(suite, fake)
    assert report.reused == kept
    # Only what was under way when it was killed, at most `concurrency` questions, was asked again.
    assert len(fake.questions()) <= REQUESTS + 2 * 4


def test_what_is_known_of_these_weights_is_asked_nowhere_again(suite: Path, fake: Fake) -> None:
    first = run(suite, fake)
    fake.asked.clear()
    fake.adapters["other"] = DIGEST  # the same weights under another name
    again = evaluate(suite, ["base", "other"], fake.url, Path("elsewhere"))
    assert fake.questions() == []
    assert again.reused == 14
    values = [[metric.value for metric in report.metrics] for report in (first, again)]
    assert values[0] == values[1]
    # Another question is not known, nor is one with other settings.
    suite.write_text(suite.read_text(encoding="utf-8").replace("max_tokens: 40", "max_tokens: 41"))
    assert evaluate(suite, MODELS, fake.url, Path("elsewhere")).reused == 4


def test_answers_of_unknown_weights_are_kept_for_the_same_run_only(suite: Path, fake: Fake) -> None:
    fake.fingerprint = None
    run(suite, fake)
    fake.asked.clear()
    assert run(suite, fake).reused == 14
    assert evaluate(suite, MODELS, fake.url, Path("elsewhere")).reused == 0
    assert len(fake.questions()) == REQUESTS


def test_fresh_asks_everything_again_but_a_stopped_run_goes_on(suite: Path, fake: Fake) -> None:
    run(suite, fake)
    fake.asked.clear()
    assert evaluate(suite, MODELS, fake.url, OUT, fresh=True).reused == 0
    assert len(fake.questions()) == REQUESTS
    # As a run that was stopped leaves it.
    (OUT / "report.json").unlink()
    assert evaluate(suite, MODELS, fake.url, OUT, fresh=True).reused == 14


def test_two_runs_give_the_same_report_but_for_times(suite: Path, fake: Fake) -> None:
    first = run(suite, fake)
    fake.delay_s = 0.05
    second = evaluate(suite, MODELS, fake.url, Path("second"), fresh=True)
    assert second.reused == 0
    assert first.result_digest == second.result_digest
    fake.reply = lambda adapter, text: words("something else")
    assert evaluate(suite, MODELS, fake.url, Path("third"), fresh=True).result_digest != first.result_digest


def test_a_report_can_be_run_again_from_itself(suite: Path, fake: Fake) -> None:
    first = run(suite, fake)
    suite.unlink()
    # An alias that moved since does not matter: the report names digests.
    fake.adapters["other"] = fake.adapters["support"]
    again = evaluate(OUT / "report.json", [], fake.url, Path("again"))
    assert again.suite == first.suite
    assert [metric.value for metric in again.metrics] == [metric.value for metric in first.metrics]
    assert again.models[1].model == first.models[1].model
    write_lines(Path("calls.jsonl"), [clock(1, "Rome", "single")])
    with pytest.raises(UserError, match=r"calls\.jsonl has changed since .* restore it"):
        evaluate(OUT / "report.json", [], fake.url, Path("again"))


def test_metrics_follow_from_the_samples_of_the_report(suite: Path, fake: Fake) -> None:
    report = run(suite, fake)
    names = [served.name for served in report.models]
    read = read_report(OUT)
    assert metrics.metrics(read.samples, names, report.suite.config["seed"]) == report.metrics
    assert metrics.differences(read.samples, names, report.suite.config["seed"]) == report.differences


def test_the_candidate_is_compared_with_the_base_and_with_what_serves_now(suite: Path, fake: Fake) -> None:
    fake.adapters["support:canary"] = "sha256:" + "b" * 64
    report = run(suite, fake, ["base", "support", "support:canary"])
    whole = [(found.model, found.against) for found in report.differences if found.task == "plain"]
    assert whole == [("support", "base"), ("support:canary", "base"), ("support:canary", "support")]
    found = report.difference("support:canary", "calls", against="support")
    assert found is not None and (found.value, found.p) == (0, 1)


def test_two_evaluations_do_not_write_one_folder(suite: Path, fake: Fake) -> None:
    with closing(Journal(OUT / "answers.jsonl")), pytest.raises(UserError, match="another evaluation"):
        run(suite, fake)
    run(suite, fake)


def test_a_broken_cache_is_named(suite: Path, fake: Fake, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "answers.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"answers\.sqlite cannot be used .*delete it"):
        run(suite, fake)
    (own_home / "answers.sqlite").unlink()
    (own_home / "answers.sqlite").mkdir()
    with pytest.raises(UserError, match=r"unable to open .*set ENXERTO_HOME"):
        run(suite, fake)


def test_what_a_killed_run_kept_is_known_to_all_after_it_went_on(
    suite: Path, fake: Fake, own_home: Path
) -> None:
    run(suite, fake)
    (own_home / "answers.sqlite").unlink()  # a kill takes what was not written yet
    (OUT / "report.json").unlink()
    run(suite, fake)
    assert evaluate(suite, MODELS, fake.url, Path("elsewhere")).reused == 14


def test_another_version_of_an_adapter_is_asked_anew(suite: Path, fake: Fake) -> None:
    run(suite, fake)
    fake.asked.clear()
    fake.adapters["support"] = "sha256:" + "b" * 64
    assert run(suite, fake).reused == 7
    assert len(fake.questions()) == REQUESTS // 2


def test_a_busy_endpoint_is_asked_again(suite: Path, fake: Fake) -> None:
    fake.failures = [503, 429]
    report = run(suite, fake)
    assert all(metric.unscored == 0 for metric in report.metrics)


def test_what_cannot_be_answered_is_unscored_and_asked_again_next_time(suite: Path, fake: Fake) -> None:
    fake.logprobs = False
    report = run(suite, fake)
    metric = report.metric("base", "plain")
    assert metric is not None
    assert (metric.value, metric.n, metric.unscored) == (None, 0, 2)
    why = {sample.results["base"].why for sample in report.samples if sample.task == "plain"}
    assert why == {"the endpoint returns no prompt_logprobs, which perplexity is measured with"}
    assert "could not be scored" in (OUT / "report.html").read_text(encoding="utf-8")

    fake.logprobs = True
    again = run(suite, fake)
    metric = again.metric("base", "plain")
    assert metric is not None and (metric.n, metric.unscored) == (2, 0)


def test_a_prompt_that_the_answer_changes_has_no_likelihood(suite: Path, fake: Fake) -> None:
    fake.shifty = True
    report = run(suite, fake)
    metric = report.metric("base", "plain")
    assert metric is not None and (metric.n, metric.unscored) == (0, 2)


def test_a_refused_question_counts_neither_as_right_nor_as_wrong(
    suite: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = fake._answer

    def refuse(body: dict[str, object]) -> object:
        return answer({**body, "model": "gone"} if "Quito" in str(body["messages"]) else body)

    monkeypatch.setattr(fake, "_answer", refuse)
    report = run(suite, fake)
    metric, difference = report.metric("support", "calls"), report.difference("support", "calls")
    assert metric is not None and difference is not None
    assert (metric.value, metric.n, metric.unscored) == (pytest.approx(2 / 3), 3, 1)
    assert difference.n == 3


def test_an_answer_that_is_too_slow_is_unscored(suite: Path, fake: Fake, edit: Edit) -> None:
    edit("name: little", "name: little\ntimeout_s: 3")
    fake.delay_s, fake.slow = 600, "Quito"
    report = run(suite, fake, ["base"])
    unscored = [sample.results["base"].why for sample in report.samples if "Quito" in str(sample.messages)]
    assert unscored == ["no answer within 3 s"]
    metric = report.metric("base", "calls")
    assert metric is not None and (metric.n, metric.unscored) == (3, 1)


def test_an_unknown_model_gets_the_endpoints_own_hint(suite: Path, fake: Fake) -> None:
    with pytest.raises(UserError, match=r"'suport'.*did you mean 'support'"):
        run(suite, fake, ["base", "suport"])


def test_a_model_is_named_once(suite: Path, fake: Fake) -> None:
    with pytest.raises(UserError, match="'base' is named twice"):
        run(suite, fake, ["base", "base"])


def test_the_table_says_what_was_measured(
    suite: Path, fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    run(suite, fake)
    told = " ".join(capsys.readouterr().out.split())
    assert "75.0%" in told and "perplexity" in told and "out/report.html" in told


def test_a_hallucinated_function_is_counted(suite: Path, fake: Fake) -> None:
    fake.reply = lambda adapter, text: call("sundial", "{}") if adapter else words("no")
    report = run(suite, fake)
    flags = [sample.results["support"].flags for sample in report.samples if sample.kind == "tools"]
    assert flags == [["unknown_function"]] * 4
