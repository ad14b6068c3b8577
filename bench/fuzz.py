"""`make fuzz`: hostile adapters made up at random and pushed to a real server, until one is taken or none is.

Each is a valid adapter with one to three things wrong in its weights, config, manifest or announcement. The
first that is taken, answered with a 5xx, or refused without a sentence or after 2 s ends the run, and is
printed in its smallest form. `--foreign` sends folders in the layouts of other trainers instead, with one to
three changes: those that are right must enter and do exactly what they say, all others be refused.
"""

import argparse
import os
import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from data.errors import UserError
from tests.adopted import fuzz as foreign
from tests.serve.hostile.attack import MOST_SECONDS, World
from tests.serve.hostile.fuzz import fuzz

RESULTS = Path("bench/results/fuzz.json")
FOREIGN = Path("bench/results/fuzz-foreign.json")

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="adapters; 10 000, or 3 000 foreign ones")
    parser.add_argument("--foreign", action="store_true", help="folders that other trainers wrote")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**9), help="the same one, the same run"
    )
    parser.add_argument("--out", type=Path, help="where the figures go")
    given = parser.parse_args()
    count = given.count or (3_000 if given.foreign else 10_000)
    which = " --foreign" if given.foreign else ""
    command = f"python -m bench.fuzz{which} --count {count} --seed {given.seed}"
    console.print(command)
    began = time.monotonic()
    with TemporaryDirectory(prefix="enxerto-fuzz-") as folder:
        try:
            measure = _foreign if given.foreign else _hostile
            rows, goals, sentences = measure(Path(folder), count, given.seed)
        except AssertionError as error:
            raise UserError(f"{error}\n{chr(10).join(getattr(error, '__notes__', []))}") from None
    seconds = time.monotonic() - began
    for row in rows:
        console.print(
            "".join(f"{value:<20}" if isinstance(value, str) else f"{value:>10,}" for value in row.values())
        )
    console.print(f"{sentences} kinds of sentence, {seconds:.0f} s")
    show(console, "fuzz", goals)
    write(given.out or (FOREIGN if given.foreign else RESULTS), command, rows, goals)


def _hostile(folder: Path, count: int, seed: int) -> tuple[list[dict[str, Any]], list[Goal], int]:
    with World.made(folder) as world:
        tally = fuzz(world, count, seed)
    rows = [
        {"refused_when": where, "adapters": number, "share": round(number / tally.total, 3)}
        for where, number in sorted(tally.refused.items())
    ]
    goals = [
        Goal("adapters refused", f">= {count}", str(tally.total), tally.total >= count),
        Goal("adapters taken, or answered with a 5xx", "0", "0", True),
        Goal(
            "slowest refusal", f"< {MOST_SECONDS:g} s", f"{tally.slowest:.2f} s", tally.slowest < MOST_SECONDS
        ),
    ]
    return rows, goals, len(tally.sentences)


def _foreign(folder: Path, count: int, seed: int) -> tuple[list[dict[str, Any]], list[Goal], int]:
    os.environ["ENXERTO_HOME"] = str(folder / "home")
    with foreign.World.made(folder) as world:
        os.environ["ENXERTO_API_KEY"] = world.server.key
        tally = foreign.fuzz(world, count, seed)
    rows = [
        {"last_change": kind, "taken": tally.taken[kind], "refused": tally.refused[kind]}
        for kind in sorted({*tally.taken, *tally.refused})
    ]
    goals = [
        Goal("foreign uploads", f">= {count}", str(tally.total), tally.total >= count),
        Goal("taken that are not right, or inert", "0", "0", True),
        Goal("answered with a 5xx", "0", "0", True),
        Goal("taken, and exactly what they say", "> 0", str(tally.taken.total()), tally.taken.total() > 0),
    ]
    return rows, goals, len(tally.sentences)


if __name__ == "__main__":
    run(main, console)
