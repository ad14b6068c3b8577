"""`--processes N` is the same command N times: what one process asks for, several do."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from finetune.launch import launched
from tests.finetune.training.conftest import Bench


@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_resume_wants_an_unfinished_run(bench: Bench, processes: tuple[str, ...]) -> None:
    ended = bench.finetune("resume", bench.recipe(), *processes)
    assert ended.returncode == 2
    assert ended.stderr.count("there is no unfinished run at") == len(ended.stderr.splitlines()) == 1
    assert [path.name for path in bench.folder.iterdir()] == ["run.yaml"]


def test_two_processes_resume_what_there_is(bench: Bench) -> None:
    recipe = bench.recipe(train={"steps": 2, "batch": 4, "checkpoints": {"steps": 1}})
    (bench.folder / "run.unfinished").mkdir()  # a run that was killed before its first checkpoint
    ended = bench.finetune("resume", recipe, "--processes", "2")
    assert ended.returncode == 0, ended.stderr
    assert len(bench.losses()) == 2
    assert not (bench.folder / "run.unfinished").exists()


@pytest.mark.parametrize("verb", ["train", "resume"])
def test_the_launcher_keeps_the_verb(
    verb: Literal["train", "resume"], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        seen.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    assert launched(verb, Path("mine.yaml"), 2)
    assert seen[0][-3:] == ["finetune", verb, "mine.yaml"]
    assert not launched(verb, Path("mine.yaml"), 1)
