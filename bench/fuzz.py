"""`make fuzz`: strangers' records and strangers' adapters, made up at random, until one does harm or none.

| part | what |
| --- | --- |
| `data` | records of every format with keys added, renamed, nested, nulled, retyped and moved, through the \
readers: each leaf of each record must be used, listed or refused |
| `uploads` | valid adapters with one to three things wrong in weights, config, manifest or announcement, \
pushed to a server around a small engine: all must be refused with a sentence |
| `foreign` | folders in the layouts of other trainers with one to three changes: those that are right must \
enter and do exactly what they say, all others be refused |
| `reports` | reports and probes with one to three values changed, sent to such a server: taken, or refused \
with a sentence, and the alias behind its gate still moves |
| `exports` | exports of a registry with one to three values changed, imported: taken in whole, or nothing, \
and no file outside |
| `schemas` | schemas made up within the documented bounds, and the largest of many, through the checks of a \
request and its trial: each is compiled in time, also as the engine does, or refused by its member's name |
| `bytes` | HTTP with bytes changed, cut and sent in pieces, and no HTTP at all, at a server's socket: every \
connection must be answered or closed, nothing crash, stay or grow |

Faults of records are counted by kind, and the first of each is printed. The first upload that is taken
wrongly, answered with a 5xx, or refused without a sentence or after 2 s ends the run, and is printed in its
smallest form, as does the first stream of bytes that does harm; a finished run is one that found none.
"""

import argparse
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from bench.command import run
from bench.fuzz_data.report import campaign, written
from bench.results import Goal, show, write
from bench.schemas import vocabulary
from data.errors import UserError
from data.home import base_folder
from finetune.render import open_renderer
from serve.engine.trials import MAX_BYTES, SECONDS
from tests.adopted import fuzz as adopted
from tests.adversarial import fuzz as beside
from tests.adversarial import fuzz_schemas, streams
from tests.adversarial import pushed as adversarial
from tests.serve.hostile.attack import MOST_SECONDS, World
from tests.serve.hostile.fuzz import fuzz

RESULTS = Path("bench/results")
PARTS = ("data", "uploads", "foreign", "reports", "exports", "schemas", "bytes")

Measured = tuple[list[dict[str, Any]], list[Goal], int]
"""Rows, goals, and how many kinds of answer were read: sentences, or statuses."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=PARTS, help="one part; all of them without it")
    parser.add_argument("--records", type=int, default=5_000, help="data: records of each format")
    parser.add_argument("--base", default="smollm2-135m-instruct-awq", help="data: whose format renders")
    parser.add_argument("--count", type=int, default=10_000, help="uploads: adapters")
    parser.add_argument("--foreign", type=int, default=3_000, help="foreign: adapters")
    parser.add_argument("--reports", type=int, default=5_000, help="reports: reports and probes")
    parser.add_argument("--exports", type=int, default=2_000, help="exports: exports")
    parser.add_argument("--schemas", type=int, default=20_000, help="schemas: and a tenth of them large ones")
    parser.add_argument("--streams", type=int, default=20_000, help="bytes: streams")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**9), help="the same one, the same run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder that the figures go to")
    given = parser.parse_args()
    for part in PARTS if given.only is None else (given.only,):
        match part:
            case "data":
                data(given.records, given.seed, given.base, given.out)
            case "uploads":
                pushed(part, "count", given.count, given.seed, given.out / "fuzz.json", hostile)
            case "foreign":
                pushed(part, "foreign", given.foreign, given.seed, given.out / "fuzz-foreign.json", foreign)
            case "reports":
                pushed(part, "reports", given.reports, given.seed, given.out / "fuzz-reports.json", reports)
            case "exports":
                pushed(part, "exports", given.exports, given.seed, given.out / "fuzz-exports.json", exports)
            case "schemas":
                pushed(part, "schemas", given.schemas, given.seed, given.out / "fuzz-schemas.json", tried)
            case "bytes":
                pushed(part, "streams", given.streams, given.seed, given.out / "fuzz-bytes.json", sent)


def data(count: int, seed: int, base: str, out: Path) -> None:
    """Read changed records; UserError where a fault was found, after the figures are written."""
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


def pushed(
    part: str, option: str, count: int, seed: int, out: Path, measure: Callable[[Path, int, int], Measured]
) -> None:
    """Send `count` adapters or streams; UserError with the smallest one that did harm."""
    command = f"python -m bench.fuzz --only {part} --{option} {count} --seed {seed}"
    console.print(command)
    began = time.monotonic()
    with TemporaryDirectory(prefix="enxerto-fuzz-") as folder:
        try:
            rows, goals, sentences = measure(Path(folder), count, seed)
        except AssertionError as error:
            raise UserError(f"{error}\n{chr(10).join(getattr(error, '__notes__', []))}") from None
    for row in rows:
        console.print(
            "".join(f"{value:<20}" if isinstance(value, str) else f"{value:>10,}" for value in row.values())
        )
    console.print(f"{sentences} kinds of answer, {time.monotonic() - began:.0f} s")
    show(console, f"fuzz {part}", goals)
    write(out, command, rows, goals)


def hostile(folder: Path, count: int, seed: int) -> Measured:
    with World.made(folder) as world:
        tally = fuzz(world, count, seed)
    rows = [
        {"refused_when": where, "adapters": number, "share": round(number / tally.total, 3)}
        for where, number in sorted(tally.refused.items())
    ]
    refused = sum(tally.refused.values())
    goals = [
        Goal("adapters refused", f"all of {count}", str(refused), refused == tally.total >= count),
        Goal(
            "slowest refusal", f"< {MOST_SECONDS:g} s", f"{tally.slowest:.2f} s", tally.slowest < MOST_SECONDS
        ),
    ]
    return rows, goals, len(tally.sentences)


def foreign(folder: Path, count: int, seed: int) -> Measured:
    os.environ["ENXERTO_HOME"] = str(folder / "home")
    with adopted.World.made(folder) as world:
        os.environ["ENXERTO_API_KEY"] = world.server.key
        tally = adopted.fuzz(world, count, seed)
    rows = [
        {"last_change": kind, "taken": tally.taken[kind], "refused": tally.refused[kind]}
        for kind in sorted({*tally.taken, *tally.refused})
    ]
    told = tally.taken.total() + tally.refused.total()
    goals = [
        Goal("taken and exact, or refused", f"all of {count}", str(told), told == tally.total >= count),
        Goal("of them taken", "> 0", str(tally.taken.total()), tally.taken.total() > 0),
    ]
    return rows, goals, len(tally.sentences)


def reports(folder: Path, count: int, seed: int) -> Measured:
    with adversarial.world(folder) as world:
        return _told(beside.fuzz_reports(world, count, seed), count)


def exports(folder: Path, count: int, seed: int) -> Measured:
    with adversarial.world(folder) as world:
        return _told(beside.fuzz_exports(world, count, seed), count)


def _told(tally: beside.Tally, count: int) -> Measured:
    rows = [{"end": end, "documents": number} for end, number in sorted(tally.ends.items())]
    total = tally.ends.total()
    return rows, [Goal("without harm", f"all of {count}", str(total), total >= count)], len(tally.sentences)


def tried(_: Path, count: int, seed: int) -> Measured:
    tally = fuzz_schemas.fuzz_schemas(count, count // 10, seed, vocabulary())
    rows = [{"end": end, "schemas": number} for end, number in sorted(tally.ends.items())]
    rows.append({"end": "tried again", "schemas": tally.again})
    total, all_ = tally.ends.total(), count + count // 10
    goals = [
        Goal("compiled in time, or refused by name", f"all of {all_}", str(total), total == all_),
        Goal("slowest that was taken", f"< {SECONDS:g} s", f"{tally.slowest:.2f} s", tally.slowest < SECONDS),
        Goal(
            "largest that was taken",
            f"< {MAX_BYTES >> 20} MiB",
            f"{tally.largest / 2**20:.1f} MiB",
            tally.largest < MAX_BYTES,
        ),
        Goal("the engine's beyond its verdict", "< 0.5 s", f"{tally.over:.2f} s", tally.over < 0.5),
        Goal(
            "longest check on the event loop",
            f"< {fuzz_schemas.CHECK_SECONDS:g} s",
            f"{tally.checked:.3f} s",
            tally.checked < fuzz_schemas.CHECK_SECONDS,
        ),
        Goal("processes", "1", str(len(tally.processes)), len(tally.processes) == 1),
        Goal(
            "growth",
            f"< {fuzz_schemas.GROWTH_MB} MB",
            f"{tally.grown_mb:.0f} MB",
            tally.grown_mb < fuzz_schemas.GROWTH_MB,
        ),
    ]
    return rows, goals, len(tally.sentences)


def sent(folder: Path, count: int, seed: int) -> Measured:
    with streams.World.made(folder) as world:
        tally = streams.fuzz(world, count, seed)
    rows = [{"answer": answer, "times": times} for answer, times in sorted(tally.answers.items())]
    grown = f"{tally.grown_mb:.0f} MB"
    goals = [
        Goal("answered or closed", f"all of {count}", str(tally.streams), tally.streams >= count),
        Goal("growth", f"< {streams.GROWTH_MB} MB", grown, tally.grown_mb < streams.GROWTH_MB),
    ]
    return rows, goals, len(tally.answers)


if __name__ == "__main__":
    run(main, console)
