"""`make fuzz`: strangers' adapters and strangers' records, made up at random, until one does harm or none.

Uploads: valid adapters with one to three things wrong in weights, config, manifest or announcement, pushed to
a real server. The first that is taken, answered with a 5xx, or refused without a sentence or after 2 s ends
the run, and is printed in its smallest form.

Data: records of every format with keys added, renamed, nested, nulled, retyped and moved, through the
readers. Each leaf of each record must be used, listed or refused; faults are counted by kind, and the first
of each is printed.
"""

import argparse
import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.command import run
from bench.fuzz_data.report import campaign, written
from bench.results import Goal, show, write
from data.errors import UserError
from data.home import base_folder
from finetune.render import open_renderer
from tests.serve.hostile.attack import MOST_SECONDS, World
from tests.serve.hostile.fuzz import fuzz

RESULTS = Path("bench/results")
HALVES = ("uploads", "data")

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=HALVES, help="one half; both without it")
    parser.add_argument("--count", type=int, default=10_000, help="adapters")
    parser.add_argument("--records", type=int, default=5_000, help="records of each format")
    parser.add_argument("--base", default="smollm2-135m-instruct-awq", help="whose format renders")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**9), help="the same one, the same run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder that the figures go to")
    given = parser.parse_args()
    if given.only != "uploads":
        data(given.records, given.seed, given.base, given.out)
    if given.only != "data":
        uploads(given.count, given.seed, given.out)


def data(count: int, seed: int, base: str, out: Path) -> None:
    """The data half; UserError where a fault was found, after the figures are written."""
    command = f"python -m bench.fuzz --only data --records {count} --seed {seed}"
    console.print(command)
    began = time.monotonic()
    report = campaign(count, seed, open_renderer(base_folder(base)))
    for row in report.rows:
        console.print(
            f"{row['format']:<28}{row['records']:>8,} records{row['taken']:>8,} taken"
            f"{row['refused']:>8,} refused{row['faults']:>7,} faults",
            soft_wrap=True,
        )
    for line in written(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"{time.monotonic() - began:.0f} s")
    goals = report.goals(count)
    show(console, "fuzz data", goals)
    write(out / "fuzz-data.json", command, report.rows, goals)
    if missed := [goal.name for goal in goals if not goal.met]:
        raise UserError(f"missed: {'; '.join(missed)}; each kind's first record stands above.")


def uploads(count: int, seed: int, out: Path) -> None:
    """The uploads half; UserError with the smallest adapter that did harm."""
    command = f"python -m bench.fuzz --only uploads --count {count} --seed {seed}"
    console.print(command)
    began = time.monotonic()
    with TemporaryDirectory(prefix="enxerto-fuzz-") as folder, World.made(Path(folder)) as world:
        try:
            tally = fuzz(world, count, seed)
        except AssertionError as error:
            raise UserError(f"{error}\n{chr(10).join(getattr(error, '__notes__', []))}") from None
    seconds = time.monotonic() - began
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
    for row in rows:
        console.print(f"{row['refused_when']:<12}{row['adapters']:>8,}{row['share']:>8.1%}")
    console.print(f"{len(tally.sentences)} kinds of sentence, {seconds:.0f} s")
    show(console, "fuzz uploads", goals)
    write(out / "fuzz.json", command, rows, goals)


if __name__ == "__main__":
    run(main, console)
