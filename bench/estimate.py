"""`make bench-estimate`: what `finetune estimate` says, beside what the training then takes.

Short runs of recipes that differ in rank, targets, length of a pass, recomputing, packed weights and method.
Memory is the training process's peak; disk the most that the run's folder ever held; speed the median of the
steps after the second. Speed is estimated right before the run and right after it, and their mean counts:
what else the machine does is then much the same. Nothing is held out here, as that may keep a best checkpoint
besides, or may not.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bench.command import run
from bench.parent import die_with_parent
from bench.results import Goal, show, write
from data.errors import UserError

COMMAND = "make bench-estimate"
OUT = Path("bench/results/estimate.json")
WITHIN = 0.15

SFT: dict[str, Any] = {"data": {"train": ["data/samples/train.jsonl"]}, "lora": {"r": 16}}
CASES: dict[str, dict[str, Any]] = {
    "rank 16": {**SFT, "train": {"batch": 4}},
    "rank 64, passes of 512": {**SFT, "lora": {"r": 64}, "train": {"batch": 4, "micro_tokens": 512}},
    "recomputing, passes of 4096": {
        **SFT,
        "train": {"batch": 5, "micro_tokens": 4096, "gradient_checkpointing": True},
    },
    "packed, rank 8 on q and v": {
        **SFT,
        "base": {"weights": "packed"},
        "lora": {"r": 8, "targets": ["q_proj", "v_proj"]},
        "train": {"batch": 3, "micro_tokens": 1024},
    },
    "dpo": {
        "method": "dpo",
        "data": {"train": ["data/samples/preferences.jsonl"]},
        "train": {"batch": 3},
    },
}

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as folder:
        for number, (name, case) in enumerate(CASES.items()):
            console.print(name)
            rows.append({"recipe": name, **_compared(Path(folder) / f"{number}.yaml", case)})
            console.print(f"  {_said(rows[-1])}")
    goals = [_goal(what, rows) for what in ("memory", "disk", "speed")]
    write(OUT, COMMAND, rows, goals)
    show(console, "Every estimate, beside its run", goals)


def _said(row: dict[str, Any]) -> str:
    """Estimated, measured, and their ratio."""
    parts = []
    for what, size, unit in (("memory", 1e6, "MB"), ("disk", 1e6, "MB"), ("speed", 1, "tokens/s")):
        guess, found = (row[what][side] / size for side in ("estimated", "measured"))
        parts.append(f"{what} {guess:,.0f} for {found:,.0f} {unit} ({guess / found:.2f})")
    return ", ".join(parts)


def _goal(what: str, rows: list[dict[str, Any]]) -> Goal:
    worst = max((row[what]["estimated"] / row[what]["measured"] - 1 for row in rows), key=abs)
    return Goal(what, f"within {WITHIN:.0%}", f"at most {worst:+.0%}", abs(worst) <= WITHIN)


def _compared(path: Path, case: dict[str, Any]) -> dict[str, Any]:
    base = {"name": "smollm2-135m-instruct-awq", **case.get("base", {})}
    settings = {"steps": 6, "learning_rate": 1e-4, "checkpoints": {"steps": 1}, **case["train"]}
    output = path.with_suffix("")
    quiet = {"wandb": "off", "tensorboard": "off", "generations": 0}
    recipe = {**case, "name": "estimated", "base": base, "train": settings, "track": quiet}
    path.write_text(yaml.safe_dump({**recipe, "output": str(output)}), encoding="utf-8")
    before = _estimate(path)
    held, weights = _train(path, output)
    after = _estimate(path)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    # The weights are what training found best after the estimate had; where they differ so do the figures.
    if weights != before["weights"]:
        console.print(f"  trained {weights}, but {before['weights']} weights were estimated")
    rates = [found["time"]["tokens_per_second"] for found in (before, after)]
    disk = before["disk_bytes"]
    return {
        "memory": {
            "estimated": before["memory_total_bytes"],
            "measured": round(steps[-1]["memory_gb"] * 1e9),
        },
        "disk": {
            "estimated": disk["checkpoints"] + disk["checkpoint or adapter being written"],
            "measured": held,
        },
        "speed": {
            "estimated": round(statistics.mean(rates), 1),
            "before_and_after": [round(rate, 1) for rate in rates],
            "measured": statistics.median(line["tokens_per_second"] for line in steps[2:]),
        },
        "parts": before["memory_bytes"],
    }


def _estimate(recipe: Path) -> dict[str, Any]:
    out = recipe.with_suffix(".json")
    _checked(["estimate", str(recipe), "--json", str(out)], recipe)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def _train(recipe: Path, output: Path) -> tuple[int, str]:
    """The most bytes that the run's folder held, and how the base's weights were held."""
    held = 0
    with recipe.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "finetune", "train", str(recipe)],
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        while process.poll() is None:
            held = max(held, _size(output.with_name(f"{output.name}.unfinished")))
            time.sleep(0.01)
    if process.returncode:
        raise UserError(f"finetune train failed: {recipe.with_suffix('.log').read_text()[-500:]}")
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return held, manifest["training"]["weights"]


def _checked(arguments: list[str], recipe: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finetune", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )
    if done.returncode:
        raise UserError(f"finetune {arguments[0]} {recipe.name} failed: {done.stderr.strip()[-500:]}")


def _size(folder: Path) -> int:
    """Bytes of all files; what is pruned meanwhile does not count (`os.walk` passes over it)."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


if __name__ == "__main__":
    run(main, console)
