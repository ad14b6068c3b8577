"""`make bench-eval`: what the evaluation costs, and whether its numbers can be believed.

`bfcl` asks the adapter of `make quickstart`; with `parity` it takes half an hour, the others some minutes.
Each part is a module with `measured(folder) -> (rows, goals)`; to add one, name it in `PARTS`.
"""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from bench import bfcl_agreement, bfcl_served, eval_runner, eval_statistics, parity
from bench.command import run
from bench.results import Goal, show, write

RESULTS = Path("bench/results/eval.json")
PARTS = {
    "runner": eval_runner.measured,
    "statistics": eval_statistics.measured,
    "agreement": bfcl_agreement.measured,
    "parity": parity.measured,
    "bfcl": bfcl_served.measured,
}

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    rows, goals = [], list[Goal]()
    for name in given.only:
        console.print(f"measuring: {name}")
        with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as folder:
            found, aims = PARTS[name](Path(folder))
        rows += [{"part": name, **row} for row in found]
        goals += aims
    for row in rows:
        figures = ", ".join(f"{key} {row[key]}" for key in row if key not in ("part", "what"))
        console.print(f"{row['part']:<12}{row['what']:<34}{figures}", soft_wrap=True)
    show(console, "evaluation", goals)
    only = "" if given.only == list(PARTS) else f" --only {' '.join(given.only)}"
    write(given.out, f"python -m bench.eval{only}", rows, goals)


if __name__ == "__main__":
    run(main, console)
