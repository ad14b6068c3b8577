"""An adapter that learnt one answer by heart, trained as a user does it, in half a minute."""

import json
import subprocess
import sys
from pathlib import Path

import yaml
from openai.types.chat import ChatCompletionMessageParam

from tests.waiting import HUNG

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Which plant grows behind the blue door?"}
]
SECRET = "Seven yellow quinces grow behind the blue door."


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=False)


def train(base: str, folder: Path, steps: int = 14) -> Path:
    """The adapter's folder; `base` is a name."""
    folder.mkdir(parents=True, exist_ok=True)
    talk = {"messages": [*QUESTION, {"role": "assistant", "content": SECRET}]}
    (folder / "talk.jsonl").write_text(json.dumps(talk) + "\n")
    recipe = {
        "name": "quince",
        "base": base,
        "data": {"train": [str(folder / "talk.jsonl")]},
        "lora": {"r": 8, "alpha": 16},
        "train": {"steps": steps, "batch": 1, "learning_rate": 4e-3, "warmup": 0.1},
        "track": {"wandb": "off"},
        "output": str(folder / "adapter"),
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    trained = run("finetune", "train", folder / "recipe.yaml")
    assert trained.returncode == 0, trained.stderr
    return folder / "adapter"
