"""`make soak`: 20 000 requests to 12 adapters on 4 slots under constant change, each answer checked.

The same storm as `tests/e2e/test_never_wrong.py`, for longer: 16 clients, whole answers and streams, mixed
with the base's, while versions are promoted, rolled back, pinned, removed and pushed again. Failures are
printed, and fifty of them end the run.
"""

import argparse
import asyncio
import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from data.errors import UserError
from data.home import base_folder
from tests.conftest import BASE
from tests.e2e.flock import ADAPTERS, SLOTS, VERSIONS, Flock, aviary, connect
from tests.e2e.storm import CLIENTS, Storm, Tally

RESULTS = Path("bench/results/soak.json")
SHOWN = 20
"""Failures printed at most."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**9), help="the same choices of what is asked"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    command = f"python -m bench.soak --requests {given.requests} --seed {given.seed}"
    console.print(command)
    tokenizer = base_folder(BASE)
    if not tokenizer.is_dir():
        raise UserError(f"there is no base {BASE} to take the tokenizer from; run `make base` first.")
    with TemporaryDirectory(prefix="enxerto-soak-") as folder:
        home = Path(folder)
        with aviary(home / "home", tokenizer) as server:
            console.print(f"pushing {ADAPTERS * VERSIONS} versions")
            flock = Flock(server, home / "canaries")
            tally, seconds = asyncio.run(_storm(flock, given.requests, given.seed))
    rows = [
        {
            "requests": tally.answers,
            "seconds": round(seconds, 1),
            "per_second": round(tally.answers / seconds, 1),
            "clients": CLIENTS,
            "adapters": ADAPTERS,
            "versions": ADAPTERS * VERSIONS,
            "slots": SLOTS,
        },
        {"answers_by": dict(sorted(tally.by.items()))},
        {"moves": dict(sorted(tally.moves.items()))},
        {"failures": tally.failures[:SHOWN]},
    ]
    lost = sum(": lost: " in failure for failure in tally.failures)
    wrong = len(tally.failures) - lost
    goals = [
        Goal("answers", f">= {given.requests:,}", f"{tally.answers:,}", tally.answers >= given.requests),
        Goal("wrong answers and moves", "0", str(wrong), wrong == 0),
        Goal("lost answers", "0", str(lost), lost == 0),
    ]
    show(console, f"soak, {seconds:.0f} s", goals)
    write(given.out, command, rows, goals)


async def _storm(flock: Flock, requests: int, seed: int) -> tuple[Tally, float]:
    """The tally, and how long the storm itself took."""
    async with connect(flock.server) as client:
        console.print("listening to each version alone")
        await flock.listen(client)
        began, shown = time.monotonic(), 0
        step = max(1, requests // 40)

        def said(tally: Tally) -> None:
            nonlocal shown
            for failure in tally.failures[shown:SHOWN]:
                console.print(f"wrong: {failure}", markup=False)
                shown += 1
            if tally.answers % step == 0:
                speed = tally.answers / (time.monotonic() - began)
                moves = sum(tally.moves.values())
                console.print(
                    f"{tally.answers:,} of {requests:,} answers, {moves:,} moves, {speed:.0f} answers/s,"
                    f" {len(tally.failures)} failures"
                )

        tally = await Storm(flock, requests, seed, said).run(client)
        return tally, time.monotonic() - began


if __name__ == "__main__":
    run(main, console)
