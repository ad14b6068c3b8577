"""The page, as text and as a browser shows it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from data.report import Answer, Call, EvalReport
from finetune.eval import diff, html
from finetune.eval.command import evaluate
from tests.finetune.eval.endpoint import Fake, call, words
from tests.waiting import HUNG

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def report(suite: Path, fake: Fake) -> EvalReport:
    return evaluate(suite, ["base", "support"], fake.url, Path("out"))


def browse(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--hide-scrollbars"]
    command = [CHROMIUM, *flags, *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=True)
    except subprocess.TimeoutExpired:  # now and then a browser hangs at its start, before it has any page
        return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=True)


def shown(page: Path, address: str = "") -> tuple[list[str], str]:
    """The ids of the visible rows and what the console said."""
    done = browse("--dump-dom", f"{page.resolve().as_uri()}{address}")
    rows = re.findall(r'<tr role="row" class="row"([^>]*)>.*?class="id">(\S+)', done.stdout, re.DOTALL)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return [name for attributes, name in rows if "hidden" not in attributes], console


@browser
@pytest.mark.parametrize(
    ("address", "visible"),
    [
        ("", ["c0", "c1", "c2", "c3", "p1", "p2"]),
        ("#filter=wrong", ["c0", "c1", "c2", "c3"]),
        ("#filter=wrong:support", ["c3"]),
        ("#filter=wrong%3Abase", ["c0", "c1", "c2"]),
        ("#filter=unscored", []),
        ("#filter=wrong&category=single&q=QUITO", ["c1"]),
        ("#task=plain", ["p1", "p2"]),
        ("#filter=nonsense", ["c0", "c1", "c2", "c3", "p1", "p2"]),
    ],
)
def test_the_address_narrows_the_table_and_the_console_stays_silent(
    report: EvalReport, address: str, visible: list[str]
) -> None:
    assert shown(Path("out/report.html"), address) == (visible, "")


@browser
def test_the_console_is_really_listened_to(report: EvalReport) -> None:
    page = Path("out/report.html")
    text = page.read_text(encoding="utf-8").replace("<script>", "<script>console.error('heard');", 1)
    page.write_text(text, encoding="utf-8")
    assert "heard" in shown(page)[1]


def test_what_a_model_says_cannot_become_markup(suite: Path, fake: Fake) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&"
    fake.reply = lambda adapter, text: call(evil, f'{{"{evil[:8]}": 1}}') if adapter else words(evil)
    evaluate(suite, ["base", "support"], fake.url, Path("out"))
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page


def test_a_long_page_shows_first_what_went_wrong_and_says_what_it_leaves_out(
    report: EvalReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "MOST_ROWS", 3)
    alone = report.model_copy(update={"models": report.models[1:], "differences": []})
    samples = [
        sample.model_copy(update={"results": {"support": sample.results["support"]}})
        for sample in report.samples
    ]
    metrics = [metric for metric in report.metrics if metric.model == "support"]
    page = html.render(alone.model_copy(update={"samples": samples, "metrics": metrics}))
    # `support` got c3 alone wrong: it is shown, and the first two in their order.
    assert re.findall(r'class="id">(\S+)', page) == ["c0", "c1", "c3"]
    assert "3 of 6 questions are shown" in page


def test_the_page_needs_nothing_but_itself(report: EvalReport) -> None:
    page = html.render(report)
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|@import|url\(', page) == []


def test_numbers_stand_with_their_intervals_and_sizes(report: EvalReport) -> None:
    page = html.render(report)
    support = report.metric("support", "calls")
    assert support is not None and support.low is not None and support.high is not None
    assert "75.0%" in page
    assert f"{100 * support.low:.0f}–{100 * support.high:.0f}%" in page
    assert "n = 4" in page
    assert "against base: +50.0 points, no clear difference" in page
    assert 'aria-label="support: 75.0%, 95% interval' in page


def test_an_unscored_question_is_told_at_the_top(suite: Path, fake: Fake) -> None:
    fake.logprobs = False
    page = html.render(evaluate(suite, ["base", "support"], fake.url, Path("out")))
    assert "2 of 6 questions could not be scored" in page
    assert "2 unscored" in page


def test_one_model_alone_has_a_page_too(suite: Path, fake: Fake) -> None:
    page = html.render(evaluate(suite, ["support"], fake.url, Path("out")))
    assert "against" not in page.split("<main>")[1].split('id="by-category"')[0]


def test_the_difference_of_calls_is_what_was_changed() -> None:
    wanted = Answer(calls=[Call(name="clock", arguments='{"zone": "Oslo", "hours": 12}')])
    got = Answer(calls=[Call(name="clock", arguments='{"hours":12,"zone":"Rome"}')])
    changed = [piece for piece in diff.between(wanted, got) if piece.kind != "same"]
    assert changed == [("missing", "Oslo"), ("extra", "Rome")]
    assert "".join(
        piece.text for piece in diff.between(wanted, got) if piece.kind != "missing"
    ) == diff.shown(got)


def test_parallel_calls_in_another_order_do_not_differ() -> None:
    calls = [Call(name="clock", arguments=f'{{"zone": "{zone}"}}') for zone in ("Oslo", "Rome")]
    pieces = diff.between(Answer(calls=calls), Answer(calls=calls[::-1]))
    assert {piece.kind for piece in pieces} == {"same"}


def test_broken_arguments_are_shown_as_they_are() -> None:
    got = Answer(calls=[Call(name="clock", arguments='{"zone": ')])
    wanted = Answer(calls=[Call(name="clock", arguments='{"zone": "Oslo"}')])
    assert diff.between(wanted, got) == [("same", 'clock({"zone": )')]
    assert diff.between(wanted, Answer(content="Hi")) == [("same", "Hi")]
