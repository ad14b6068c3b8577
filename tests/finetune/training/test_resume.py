"""Whatever ends a run, it goes on from its last whole checkpoint, to the very numbers of an unbroken one."""

import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.finetune.training import interrupted, other_speeds
from tests.finetune.training.conftest import Bench
from tests.forked import Forge

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Unbroken:
    """The bench's usual run, which nothing ended."""

    losses: list[tuple[int, float, float]]
    weights: dict[str, Any]

    @classmethod
    def of(cls, bench: Bench, name: str) -> "Unbroken":
        """What a finished run came to."""
        return cls(bench.losses(name), load_file(bench.folder / name / WEIGHTS))

    def equals(self, bench: Bench, name: str = "run") -> bool:
        other = Unbroken.of(bench, name)
        same = self.losses == other.losses and self.weights.keys() == other.weights.keys()
        return same and all((self.weights[key] == other.weights[key]).all() for key in self.weights)


@pytest.fixture(scope="module")
def unbroken(
    tiny_home: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory, forge: Forge
) -> Unbroken:
    bench = Bench(tiny_home, chats, tmp_path_factory.mktemp("unbroken"), forge)
    result = bench.finetune("train", bench.recipe("unbroken"))
    assert result.returncode == 0, result.stderr
    return Unbroken.of(bench, "unbroken")


def kill_and_resume(bench: Bench, kills: int, seed: int) -> None:
    """`kill -9` at `kills` random moments of training, and then the run to its end."""
    moments, recipe = random.Random(seed), bench.recipe("run")
    checkpoints = bench.folder / "run.unfinished" / "checkpoints"
    while kills:
        before = set(checkpoints.glob("*"))
        child = bench.start("train", recipe)
        # Most kills from the first new checkpoint on, at any moment of steps, saving and pruning.
        while set(checkpoints.glob("*")) <= before and child.alive:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.12)
        if child.alive:
            os.killpg(child.pid, signal.SIGKILL)
        if child.wait().returncode == 0:  # it was faster: once more from the beginning
            shutil.rmtree(bench.folder / "run")
        else:
            kills -= 1
    assert bench.finetune("train", recipe).returncode == 0


def test_killed_again_and_again_it_ends_bit_equal(bench: Bench, unbroken: Unbroken) -> None:
    kill_and_resume(bench, kills=4, seed=0)
    assert unbroken.equals(bench)
    assert not (bench.folder / "run.unfinished").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_are_fifty_bit_equal_resumes(bench: Bench, unbroken: Unbroken) -> None:
    for seed in range(10):
        kill_and_resume(bench, kills=5, seed=seed)
        assert unbroken.equals(bench), f"seed {seed}"
        shutil.rmtree(bench.folder / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_the_work_and_says_how_to_go_on(
    bench: Bench, unbroken: Unbroken, number: signal.Signals
) -> None:
    # No checkpoint is due before the signal: it alone makes one.
    steps = {"steps": 12, "batch": 3, "learning_rate": 5e-3}
    recipe = bench.recipe("run", train=steps)
    child = bench.start("train", recipe)
    metrics = bench.folder / "run.unfinished" / "metrics.jsonl"
    while not (metrics.is_file() and metrics.read_text()):
        assert child.alive
        time.sleep(0.002)
    os.kill(child.pid, number)
    ended = child.wait()
    assert ended.returncode == 128 + number
    assert "of 12; the same command goes on" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (bench.folder / "run").exists()
    result = bench.finetune("resume", recipe)
    assert result.returncode == 0, result.stderr
    assert "resuming at step" in result.stderr
    assert bench.losses() == unbroken.losses


def test_an_interrupted_step_is_taken_again_with_the_same_dropout(bench: Bench) -> None:
    """A signal in the middle of a step: its passes are thrown away, its random numbers are not lost."""
    train = {"steps": 4, "batch": 6, "learning_rate": 5e-3, "micro_tokens": 16}
    assert bench.finetune("train", bench.recipe("unbroken", train=train)).returncode == 0
    result = bench.forge.run(interrupted.__name__, bench.recipe("run", train=train), env=bench.environment())
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert "stopped after step 1 of 4" in result.stderr
    assert bench.finetune("train", bench.recipe("run", train=train)).returncode == 0
    assert bench.losses() == bench.losses("unbroken")


def test_a_run_keeps_its_dtype_where_the_other_one_is_faster_by_now(bench: Bench, unbroken: Unbroken) -> None:
    """Both are timed at the start, and a busy machine may time them otherwise when the run goes on."""
    recipe = bench.recipe("run")
    interrupted_run = bench.forge.run(interrupted.__name__, recipe, env=bench.environment())
    assert interrupted_run.returncode == 128 + signal.SIGTERM, interrupted_run.stderr
    resumed = bench.forge.run(other_speeds.__name__, recipe, env=bench.environment())
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming at step" in resumed.stderr
    assert unbroken.equals(bench)


def test_a_damaged_checkpoint_is_passed_over_with_its_reason(bench: Bench, unbroken: Unbroken) -> None:
    recipe = bench.recipe("run")
    checkpoints = bench.folder / "run.unfinished" / "checkpoints"
    child = bench.start("train", recipe)
    while len([path for path in checkpoints.glob("step-*") if path.suffix != ".partial"]) < 2:
        time.sleep(0.002)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    newest = max(path for path in checkpoints.glob("step-*") if path.suffix != ".partial")
    (newest / "optimizer.pt").unlink()
    result = bench.finetune("train", recipe)
    assert result.returncode == 0, result.stderr
    assert f"{newest.name} is not used: optimizer.pt is missing" in result.stderr
    assert f"resuming at step {int(newest.name[5:]) - 1} of 12" in result.stderr
    assert bench.losses() == unbroken.losses


def test_only_one_process_works_on_a_run(bench: Bench) -> None:
    recipe = bench.recipe("run")
    first = bench.start("train", recipe)
    while not (bench.folder / "run.unfinished" / "run.json").is_file():
        time.sleep(0.002)
    os.kill(first.pid, signal.SIGSTOP)  # or it may be the faster one
    result = bench.finetune("train", recipe)
    os.kill(first.pid, signal.SIGCONT)
    assert "another run is making" in result.stderr
    assert result.returncode == 2
    assert first.wait().returncode == 0
