"""Whatever ends a run, it goes on from its last whole checkpoint, to the very numbers of an unbroken one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.finetune.training.conftest import Bench

WEIGHTS = "adapter_model.safetensors"


class Zygote:
    """Starts trainings of one recipe, one after the other."""

    def __init__(self, bench: Bench, recipe: Path) -> None:
        script = Path(__file__).with_name("zygote.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(recipe)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=bench.environment() | {"PYTHONPATH": str(Path.cwd())},
        )
        assert self._line() == "ready"

    def start(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def ended(self) -> int:
        """The exit code, or minus the signal, of the training that was started last."""
        return int(self._line())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def unbroken(bench: Bench) -> list[tuple[int, float, float]]:
    result = bench.finetune("train", bench.recipe("unbroken"))
    assert result.returncode == 0, result.stderr
    return bench.losses("unbroken")


def adapters_are_equal(bench: Bench, name: str) -> bool:
    one, other = (load_file(bench.folder / which / WEIGHTS) for which in ("unbroken", name))
    return one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


@pytest.fixture
def zygote(bench: Bench) -> Iterator[Zygote]:
    made = Zygote(bench, bench.recipe("run"))
    yield made
    made.close()


def kill_and_resume(bench: Bench, zygote: Zygote, kills: int, seed: int) -> int:
    """`kill -9` at `kills` random moments, then the run to its end; how many kills fell into training."""
    moments = random.Random(seed)
    checkpoints, trained = bench.folder / "run.unfinished" / "checkpoints", 0
    for _ in range(kills):
        before = set(checkpoints.glob("*"))
        child = zygote.start()
        limit = time.monotonic() + 60
        # Most kills from the first new checkpoint on, at any moment of steps, saving and pruning.
        while set(checkpoints.glob("*")) <= before and time.monotonic() < limit and _alive(child):
            time.sleep(0.002)
        time.sleep(moments.random() * 0.12)
        if _alive(child):
            os.killpg(child, signal.SIGKILL)
        if zygote.ended() == 0:
            return trained
        trained += 1
    zygote.start()
    assert zygote.ended() == 0
    return trained


def _alive(child: int) -> bool:
    state = Path(f"/proc/{child}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_killed_again_and_again_it_ends_bit_equal(
    bench: Bench, zygote: Zygote, unbroken: list[tuple[int, float, float]]
) -> None:
    assert kill_and_resume(bench, zygote, kills=4, seed=0) >= 2
    assert bench.losses() == unbroken
    assert adapters_are_equal(bench, "run")
    assert not (bench.folder / "run.unfinished").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_are_fifty_bit_equal_resumes(
    bench: Bench, zygote: Zygote, unbroken: list[tuple[int, float, float]]
) -> None:
    import shutil

    kills, seed = 0, 0
    while kills < 50:
        kills += kill_and_resume(bench, zygote, kills=min(5, 50 - kills), seed=seed)
        assert bench.losses() == unbroken, f"seed {seed}"
        assert adapters_are_equal(bench, "run"), f"seed {seed}"
        shutil.rmtree(bench.folder / "run")
        seed += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_the_work_and_says_how_to_go_on(
    bench: Bench, unbroken: list[tuple[int, float, float]], number: signal.Signals
) -> None:
    # No checkpoint is due before the signal: it alone makes one.
    steps = {"steps": 12, "batch": 3, "learning_rate": 5e-3}
    recipe = bench.recipe("run", train=steps)
    process = subprocess.Popen(
        bench.command("train", recipe),
        stderr=subprocess.PIPE,
        text=True,
        env=bench.environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = bench.folder / "run.unfinished" / "metrics.jsonl"
    while not (metrics.is_file() and metrics.read_text()):
        assert process.poll() is None
        time.sleep(0.002)
    started = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == 128 + number
    assert "of 12; the same command goes on" in said
    assert "Traceback" not in said
    assert not (bench.folder / "run").exists()
    result = bench.finetune("resume", recipe)
    assert result.returncode == 0, result.stderr
    assert "resuming at step" in result.stderr
    assert bench.losses() == unbroken


def test_an_interrupted_step_is_taken_again_with_the_same_dropout(bench: Bench) -> None:
    """A signal in the middle of a step: its passes are thrown away, its random numbers are not lost."""
    train = {"steps": 4, "batch": 6, "learning_rate": 5e-3, "micro_tokens": 16}
    assert bench.finetune("train", bench.recipe("unbroken", train=train)).returncode == 0
    script = f"""
import os, signal, sys
from pathlib import Path
from finetune import recipe as recipes
from finetune.train import train
from finetune.training.objectives import Supervised
whole, passes = Supervised.loss, []
def loss(self, model, batch):
    passes.append(batch)
    if len(passes) == 9:  # six passes a step: in the middle of the second
        os.kill(os.getpid(), signal.SIGTERM)
    return whole(self, model, batch)
Supervised.loss = loss
if __name__ == "__main__":
    train(recipes.load(Path({str(bench.recipe("run", train=train))!r})))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], env=bench.environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert "stopped after step 1 of 4" in result.stderr
    assert bench.finetune("train", bench.recipe("run", train=train)).returncode == 0
    assert bench.losses() == bench.losses("unbroken")


def test_a_damaged_checkpoint_is_passed_over_with_its_reason(
    bench: Bench, zygote: Zygote, unbroken: list[tuple[int, float, float]]
) -> None:
    checkpoints = bench.folder / "run.unfinished" / "checkpoints"
    child = zygote.start()
    while len([path for path in checkpoints.glob("step-*") if path.suffix != ".partial"]) < 2:
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    zygote.ended()
    newest = max(path for path in checkpoints.glob("step-*") if path.suffix != ".partial")
    (newest / "optimizer.pt").unlink()
    result = bench.finetune("train", bench.folder / "run.yaml")
    assert result.returncode == 0, result.stderr
    assert f"{newest.name} is not used: optimizer.pt is missing" in result.stderr
    assert f"resuming at step {int(newest.name[5:]) - 1} of 12" in result.stderr
    assert bench.losses() == unbroken


def test_only_one_process_works_on_a_run(bench: Bench, zygote: Zygote) -> None:
    zygote.start()
    while not (bench.folder / "run.unfinished" / "run.json").is_file():
        time.sleep(0.002)
    result = bench.finetune("train", bench.folder / "run.yaml")
    ended = zygote.ended()
    if "exists already" not in result.stderr:  # the first may have been faster
        assert "another run is making" in result.stderr
    assert result.returncode == 2
    assert ended == 0
