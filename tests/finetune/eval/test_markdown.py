"""report.md, as a pull request shows it."""

from pathlib import Path

from data.report import EvalReport
from finetune.eval import markdown
from finetune.eval.command import evaluate
from tests.finetune.eval.conftest import DIGEST, clock, write_lines
from tests.finetune.eval.endpoint import Fake


def made(suite: Path, fake: Fake) -> tuple[EvalReport, str]:
    report = evaluate(suite, ["base", "support"], fake.url, Path("out"))
    return report, Path("out/report.md").read_text(encoding="utf-8")


def test_values_differences_and_origin(suite: Path, fake: Fake) -> None:
    report, text = made(suite, fake)
    assert "| calls | 25.0% (5–70%), n = 4 | 75.0% (30–95%), n = 4 |" in text
    assert "| support against base | calls | +50.0 points, no clear difference |" in text
    assert f"- support: version 1, `{DIGEST}`" in text
    assert report.suite.digest in text and report.result_digest in text
    assert "| calls | far | 0.0% (0–79%), n = 1 | 100.0% (21–100%), n = 1 |" in text.split("By category")[1]


def test_tables_stay_tables_whatever_names_say(suite: Path, fake: Fake) -> None:
    zones = ["Lisbon", "Quito"]
    rows = [clock(n, zone, f"a|b <b>{n}</b>\nc") for n, zone in enumerate(zones)]
    write_lines(Path("calls.jsonl"), rows)
    _, text = made(suite, fake)
    assert "a\\|b &lt;b&gt;0&lt;/b&gt; c" in text
    for block in text.split("\n\n"):
        if block.startswith("| "):
            columns = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(columns) == 1, block


def test_unscored_questions_are_counted(suite: Path, fake: Fake) -> None:
    fake.logprobs = False
    report, text = made(suite, fake)
    assert "| plain | – (no interval), n = 0, 2 unscored |" in text
    assert text == markdown.render(report)
