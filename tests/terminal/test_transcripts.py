"""The transcripts and the first hour, short: the same scripts, the real vLLM and training, a few steps."""

from pathlib import Path

import pytest

from bench import first_hour, transcripts
from tests.terminal.test_training import NOISE

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]

QUICKSTART_LINES = 120


@pytest.mark.parametrize("columns", [80, 200])
def test_transcripts_are_calm_and_show_what_the_readme_says(base: Path, tmp_path: Path, columns: int) -> None:
    scenes = transcripts.record(tmp_path, columns, short=True)
    assert set(scenes) == {"base", "train", "up", "push", "chat", "eval"}
    for lines in scenes.values():
        _calm(lines)
        assert max(map(len, lines)) <= columns + len("      # in a second terminal")
    assert "smollm2-135m-instruct-awq is ready" in " ".join(scenes["base"])
    assert "adapter written to runs/quickstart/adapter" in " ".join(scenes["train"])
    assert any("serving on http://127.0.0.1:" in line for line in scenes["up"])
    assert any(line.startswith("support@1 is ready, alias default (sha256:") for line in scenes["push"])
    assert any("the nearest names are support" in line for line in " ".join(scenes["chat"]).split(";"))
    assert "Report: runs/eval/report.html" in scenes["eval"]
    assert str(Path.home()) not in str(scenes)


def test_a_first_hour(base: Path, tmp_path: Path) -> None:
    desk = first_hour.play(tmp_path, short=True)
    _calm(desk.transcript)
    [start] = [
        at for at, line in enumerate(desk.transcript) if line.startswith("$ python -m bench.quickstart")
    ]
    [end] = [at for at, line in enumerate(desk.transcript) if line.startswith("Now try it:")]
    assert end - start < QUICKSTART_LINES
    assert desk.codes["finetune train mine.yaml"] == 0
    text = "\n".join(desk.transcript)
    assert "Traceback" not in text
    for said in ("'latest' is no name for an adapter", "hours@1 is ready", "'hours' is an adapter with all"):
        assert said in text


def _calm(lines: list[str]) -> None:
    assert not [line for line in lines for noise in NOISE if noise in line]
