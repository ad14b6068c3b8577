"""`make bench-train`: this trainer beside plain ones of TRL and PEFT.

One table in one run: the same token streams, base, rank, targets, optimiser and learning rate; each run in a
process of its own, in turn, medians of `--rounds`. Plain TRL has its defaults: rows padded to the longest of
a batch, activations computed again, bfloat16 autocast. The ceiling is what this machine's fastest matrix
product would give at 4 N + 6 P operations a token, for N frozen parameters in products and P trained ones.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.results import Goal, show, write
from bench.train.stream import STREAMS
from data.errors import UserError

RESULTS = Path("bench/results/train.json")
OURS, AWQ, DENSE = "enxerto", "TRL on AWQ", "TRL on dense bf16"
RUNS = {OURS: ["ours"], AWQ: ["plain", "awq"], DENSE: ["plain", "dense"]}
FROZEN, TRAINED = 134_479_872, 4_884_480
"""The embedded base's parameters that stand in products, output layer included, and rank 16's on all."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    peaks: list[float] = []
    for number in range(given.rounds):
        for stream in STREAMS:
            for name, words in RUNS.items():
                peaks.append(_child("bench.train.measure")["flops"])
                console.print(f"round {number + 1} of {given.rounds}: {name}, {stream}")
                found.setdefault((stream, name), []).append(
                    _child(f"bench.train.{words[0]}", *words[1:], stream)
                )
    ceiling = statistics.median(peaks) / (4 * FROZEN + 6 * TRAINED)
    rows = [_row(stream, name, measured) for (stream, name), measured in found.items()]
    by = {(row["stream"], row["trainer"]): row for row in rows}
    _table(rows, ceiling, statistics.median(peaks))
    goals = [*_goals(by, ceiling)]
    facts = {"gemm_flops": statistics.median(peaks), "ceiling_tokens_per_second": round(ceiling, 1)}
    write(given.out, "make bench-train", [facts, *rows], goals)
    show(console, "bench-train", goals)


def _child(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{' '.join(command[1:])} failed:\n{result.stderr[-2000:]}")
    lines = [line for line in result.stdout.splitlines() if line.startswith('{"')]
    content: dict[str, Any] = json.loads(lines[-1])
    return content


def _row(stream: str, name: str, measured: list[dict[str, Any]]) -> dict[str, Any]:
    speeds = [one["tokens_per_second"] for one in measured]
    return {
        "stream": stream,
        "trainer": name,
        "tokens_per_second": round(statistics.median(speeds), 1),
        "each": [round(speed, 1) for speed in speeds],
        "memory_gb": round(statistics.median(one["memory_gb"] for one in measured), 2),
        "last_loss": statistics.median(one["losses"][-1] for one in measured),
    }


def _table(rows: list[dict[str, Any]], ceiling: float, peak: float) -> None:
    table = Table(title=f"matrix product {peak / 1e9:.0f} GFLOP/s: ceiling {ceiling:.0f} tokens/s", box=None)
    for column in ("stream", "trainer", "tokens/s", "of ceiling", "memory", "last loss"):
        table.add_column(column, justify="left" if column in ("stream", "trainer") else "right")
    for row in rows:
        speed = row["tokens_per_second"]
        table.add_row(
            row["stream"],
            row["trainer"],
            f"{speed:.0f}",
            f"{speed / ceiling:.0%}",
            f"{row['memory_gb']:.2f} GB",
            f"{row['last_loss']:.4f}",
        )
    console.print(table)


def _goals(by: dict[tuple[str, str], dict[str, Any]], ceiling: float) -> list[Goal]:
    goals = []
    for stream, least in zip(STREAMS, (3.0, 2.2), strict=True):
        ours, awq, dense = (by[stream, name] for name in RUNS)
        speed = ours["tokens_per_second"] / awq["tokens_per_second"]
        goals.append(Goal(f"{stream}: speed, of {AWQ}", f">= {least}", f"{speed:.2f}", speed >= least))
        share = ours["tokens_per_second"] / ceiling
        goals.append(Goal(f"{stream}: of the ceiling", ">= 60%", f"{share:.0%}", share >= 0.6))
        apart = max(abs(ours["last_loss"] / other["last_loss"] - 1) for other in (awq, dense))
        goals.append(Goal(f"{stream}: last loss apart", "<= 1%", f"{apart:.2%}", apart <= 0.01))
        memory = ours["memory_gb"] / dense["memory_gb"]
        goals.append(Goal(f"{stream}: memory, of {DENSE}", "<= 1.0", f"{memory:.2f}", memory <= 1.0))
    return goals


if __name__ == "__main__":
    run(main, console)
