"""A home with the tiny AWQ base, a few conversations, and `finetune` as a person starts it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.finetune import tiny_awq
from tests.forked import Child, Forge


@dataclass(frozen=True)
class Bench:
    """Where runs happen: `home` holds the tiny base, `chats` ten short conversations."""

    home: Path
    chats: Path
    folder: Path
    forge: Forge

    def recipe(self, name: str = "run", **changes: Any) -> Path:
        """A recipe of 12 steps on the tiny base; `changes` replace whole sections."""
        recipe = {
            "name": name,
            "base": tiny_awq.BASE,
            "data": {"train": [str(self.chats)], "max_length": 256},
            "lora": {"r": 4, "alpha": 8, "dropout": 0.1, "targets": ["q_proj", "v_proj", "down_proj"]},
            "train": {"steps": 12, "batch": 3, "learning_rate": 5e-3, "checkpoints": {"steps": 1}},
            "track": {"wandb": "off", "tensorboard": "off", "generations": 0},
            "output": str(self.folder / name),
        } | changes
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return path

    def environment(self) -> dict[str, str]:
        return os.environ | {"ENXERTO_HOME": str(self.home), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str | Path) -> Child:
        return self.forge.start("finetune", *arguments, env=self.environment())

    def finetune(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.start(*arguments).wait()

    def losses(self, name: str = "run") -> list[tuple[int, float, float]]:
        """(step, loss, gradient norm) of each step of a run, finished or not."""
        finished, unfinished = self.folder / name, self.folder / f"{name}.unfinished"
        lines = (finished if finished.is_dir() else unfinished) / "metrics.jsonl"
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        return [(row["step"], row["loss"], row["grad_norm"]) for row in rows if "loss" in row]


@pytest.fixture(scope="session")
def tiny_home(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("training-home")
    (home / "bases").mkdir()
    tiny_awq.make_base(home / "bases" / tiny_awq.BASE, base)
    return home


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    with path.open("w") as file:
        for number in range(10):
            asked = {"role": "user", "content": f"What is {number} plus {number}? " + "Think. " * number}
            said = {"role": "assistant", "content": f"It is {2 * number}. " + "Sure. " * (10 - number)}
            file.write(json.dumps({"messages": [asked, said]}) + "\n")
    return path


@pytest.fixture
def bench(tiny_home: Path, chats: Path, tmp_path: Path, forge: Forge) -> Bench:
    return Bench(tiny_home, chats, tmp_path, forge)
