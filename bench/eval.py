"""`make bench-eval`: what the evaluation costs, and whether its numbers can be believed.

Each part is a module with `measured(folder) -> (rows, goals)` and has a results file of its own, so that a
run that was stopped keeps what it measured. `bfcl` asks the adapter of `make quickstart`; with `parity` it
takes most of an hour, the others some minutes.
"""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from bench import bfcl_agreement, bfcl_served, eval_runner, eval_statistics, parity
from bench.command import run
from bench.results import show, write

RESULTS = Path("bench/results")
PARTS = {
    "eval-runner": eval_runner.measured,
    "eval-statistics": eval_statistics.measured,
    "bfcl-agreement": bfcl_agreement.measured,
    "parity": parity.measured,
    "bfcl": bfcl_served.measured,
}

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for the parts' files")
    given = parser.parse_args()
    for name in given.only:
        console.print(f"measuring: {name}")
        with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as folder:
            rows, goals = PARTS[name](Path(folder))
        for row in rows:
            figures = (f"{key} {value}" for key, value in row.items() if not isinstance(value, dict))
            console.print("  ".join(figures), soft_wrap=True)
        show(console, name, goals)
        write(given.out / f"{name}.json", f"python -m bench.eval --only {name}", rows, goals)


if __name__ == "__main__":
    run(main, console)
