"""Killed at random moments, again and again: what was answered and kept is never asked twice."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.report import read_report
from tests.finetune.eval.conftest import clock, write_lines
from tests.finetune.eval.endpoint import Fake

OUT = Path("out")
PROGRAM = """
import sys
from pathlib import Path
from finetune.eval.command import evaluate
evaluate(Path(sys.argv[1]), ["base", "support"], sys.argv[2], Path("out"))
"""
COUNT, CONCURRENCY = 150, 16


def kept() -> set[str]:
    """Whole lines of the journal, as questions: (model, id)."""
    path = OUT / "answers.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {f"{record['model']} {record['id']}" for record in records}


def asked(fake: Fake) -> Counter[str]:
    """How often each question was asked since the last look, the one-token probes aside."""

    def name(body: dict[str, Any]) -> str:
        model = "support" if "@" in body["model"] else "base"
        return f"{model} {body['messages'][-1]['content'].rstrip('?').rpartition(' ')[2]}"

    found = Counter(name(body) for body in fake.questions())
    fake.asked.clear()
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))])
def test_a_run_killed_anywhere_asks_nothing_twice(
    suite: Path, fake: Fake, edit: Callable[[str, str], None], seed: int
) -> None:
    edit("- {name: plain, kind: perplexity, data: plain.jsonl}", "")
    edit("- {name: chat, kind: chat, prompts: [Say something.]}", "")
    edit("concurrency: 4", f"concurrency: {CONCURRENCY}")
    write_lines(Path("calls.jsonl"), [clock(n, f"c{n}", "single") for n in range(COUNT)])
    fake.delay_s = 0.02
    draw = random.Random(seed)
    kills, total = 0, Counter[str]()
    while kills < 4:
        before = kept()
        with subprocess.Popen([sys.executable, "-c", PROGRAM, str(suite), fake.url]) as process:
            target = draw.randint(1, COUNT // 2)
            while len(fake.asked) < target and process.poll() is None:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.04))
            ended = process.poll() is not None
            process.kill()
        now = asked(fake)
        assert not before & now.keys(), "a kept answer was asked for again"
        total += now
        if ended:
            break
        kills += 1
        # What was asked and is not kept was under way when the process died.
        assert len(now.keys() - kept()) <= CONCURRENCY
    fake.delay_s = 0
    before = kept()
    subprocess.run([sys.executable, "-c", PROGRAM, str(suite), fake.url], check=True)
    now = asked(fake)
    assert not before & now.keys()
    total += now
    assert kills >= 1
    assert len(kept()) == 2 * COUNT
    assert len(total) == 2 * COUNT
    assert total.total() <= 2 * COUNT + kills * CONCURRENCY
    report = read_report(OUT)
    assert len(report.samples) == COUNT
    assert [(metric.n, metric.unscored) for metric in report.metrics] == [(COUNT, 0)] * 2
    for metric in report.metrics:
        assert metric.value == (1 if metric.model == "support" else 0)
