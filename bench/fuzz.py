"""`make fuzz`: hostile adapters made up at random and pushed to a real server, until one is taken or none is.

Each is a valid adapter with one to three things wrong in its weights, config, manifest or announcement. The
first that is taken, answered with a 5xx, or refused without a sentence or after 2 s ends the run, and is
printed in its smallest form.
"""

import argparse
import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from data.errors import UserError
from tests.serve.hostile.attack import MOST_SECONDS, World
from tests.serve.hostile.fuzz import fuzz

RESULTS = Path("bench/results/fuzz.json")

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="adapters")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**9), help="the same one, the same run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    command = f"python -m bench.fuzz --count {given.count} --seed {given.seed}"
    console.print(command)
    began = time.monotonic()
    with TemporaryDirectory(prefix="enxerto-fuzz-") as folder, World.made(Path(folder)) as world:
        try:
            tally = fuzz(world, given.count, given.seed)
        except AssertionError as error:
            raise UserError(f"{error}\n{chr(10).join(getattr(error, '__notes__', []))}") from None
    seconds = time.monotonic() - began
    rows = [
        {"refused_when": where, "adapters": count, "share": round(count / tally.total, 3)}
        for where, count in sorted(tally.refused.items())
    ]
    goals = [
        Goal("adapters refused", f">= {given.count}", str(tally.total), tally.total >= given.count),
        Goal("adapters taken, or answered with a 5xx", "0", "0", True),
        Goal(
            "slowest refusal", f"< {MOST_SECONDS:g} s", f"{tally.slowest:.2f} s", tally.slowest < MOST_SECONDS
        ),
    ]
    for row in rows:
        console.print(f"{row['refused_when']:<12}{row['adapters']:>8,}{row['share']:>8.1%}")
    console.print(f"{len(tally.sentences)} kinds of sentence, {seconds:.0f} s")
    show(console, "fuzz", goals)
    write(given.out, command, rows, goals)


if __name__ == "__main__":
    run(main, console)
