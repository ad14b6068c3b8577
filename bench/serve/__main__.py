"""`make bench-serve`: this server beside plain vLLM's own, on the same base, arguments and environment.

Both run all the while, and are asked in turn, in rounds, by 1, 4, 6 and 16 clients that ask again as soon as
they are answered, of the base alone and of 8 adapters mixed. Then adapters are loaded while two streams of it
run. Both have this package's CPU operators for LoRA. The default base is made up, of two layers, so that
what the servers add is not lost in the model's own time; `--base NAME` takes a real one.
"""

import argparse
import asyncio
import statistics
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from bench.serve.hot import Loads, hot_load
from bench.serve.load import TOKENS, Measured, load
from bench.serve.servers import OURS, PLAIN, Target, both
from data.errors import UserError
from data.home import base_folder
from tests.conftest import BASE
from tests.e2e import canaries, strong

RESULTS = Path("bench/results/serve.json")
CLIENTS = (1, 4, 6, 16)
ADAPTERS = 8
LEAST_RATIO, MOST_MS = 0.98, 5

Cell = tuple[str, int]
"""Who answers, `base` or `8 adapters`, and how many ask at once."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="a built base's name; by default one of two layers is made up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--loads", type=int, default=100, help="adapters loaded, by each server")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    embedded = base_folder(given.base or BASE)
    if not (embedded / "base.json").is_file():
        raise UserError(f"there is no base {embedded.name}; make it with `make base BASE={embedded.name}`.")
    with TemporaryDirectory(prefix="enxerto-bench-") as folder:
        home = Path(folder)
        name = given.base or canaries.NAME
        if given.base:
            (home / "bases").mkdir()
            (home / "bases" / name).symlink_to(embedded.resolve())
        else:
            canaries.make_base(home / "bases" / name, embedded)
        console.print(f"starting both servers on {name}")
        with both(home, name, ADAPTERS) as (server, targets):
            folders = []
            for number in range(ADAPTERS + given.loads):
                folders.append(home / "adapters" / str(number))
                strong.make(folders[-1], server, seed=number)
            cells, loads = asyncio.run(_measure(targets, folders, given.rounds, given.seconds))
    rows = [*_rows(cells), *_load_rows(loads)]
    goals = _goals(cells)
    for row in rows:
        console.print("  ".join(f"{key} {value}" for key, value in row.items() if key != "each"))
    show(console, f"serve, {name}", goals)
    base = f" --base {given.base}" if given.base else ""
    command = f"python -m bench.serve{base} --rounds {given.rounds} --seconds {given.seconds:g}"
    facts = {"base": name, "tokens_per_answer": TOKENS, "rank": strong.RANK}
    write(given.out, f"{command} --loads {given.loads}", [facts, *rows], goals)


async def _measure(
    targets: list[Target], folders: list[Path], rounds: int, seconds: float
) -> tuple[dict[tuple[str, Cell], list[Measured]], dict[str, Loads]]:
    adapters = [f"adapter-{number}" for number in range(ADAPTERS)]
    found: dict[tuple[str, Cell], list[Measured]] = defaultdict(list)
    loads = {target.name: Loads() for target in targets}
    for target in targets:
        async with target.client() as client:
            for name, folder in zip(adapters, folders, strict=False):
                upload = await target.send(client, name, folder)
                await target.load(client, name, folder, upload)
            await load(client, [target.base, *adapters], 16, 2 * seconds)  # until both are warm
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for clients in CLIENTS:
            for who in ("base", f"{ADAPTERS} adapters"):
                # Each is first in every other round: what the machine does meanwhile hits both alike.
                for target in targets if number % 2 else targets[::-1]:
                    models = [target.base] if who == "base" else adapters
                    async with target.client() as client:
                        measured = await load(client, models, clients, seconds)
                    found[target.name, (who, clients)].append(measured)
    parts = [folders[ADAPTERS + start :: rounds] for start in range(rounds)]
    for number, part in enumerate(parts):
        console.print(f"loading {len(part)} adapters, round {number + 1} of {rounds}")
        for target in targets if number % 2 else targets[::-1]:
            await hot_load(target, part, f"hot-{number}", loads[target.name])
    return found, loads


def _rows(cells: dict[tuple[str, Cell], list[Measured]]) -> list[dict[str, Any]]:
    return [
        {
            "server": server,
            "asked": who,
            "clients": clients,
            "tokens_per_second": round(statistics.median(one.speed for one in measured), 1),
            "ttft_p50_ms": _ms(_first(measured), 0.5),
            "ttft_p99_ms": _ms(_first(measured), 0.99),
            "itl_p50_ms": _ms([gap for one in measured for gap in one.gaps], 0.5),
            "itl_p99_ms": _ms([gap for one in measured for gap in one.gaps], 0.99),
            "each": [round(one.speed, 1) for one in measured],
        }
        for (server, (who, clients)), measured in cells.items()
    ]


def _load_rows(loads: dict[str, Loads]) -> list[dict[str, Any]]:
    return [
        {
            "server": server,
            "loads": len(found.first),
            "load_to_first_token_p50_ms": _ms(found.first, 0.5),
            "load_to_first_token_p99_ms": _ms(found.first, 0.99),
            "others_normal_gap_p99_ms": _ms(found.normal.gaps, 0.99),
            "others_gap_p99_ms": _ms(found.others.gaps, 0.99),
            "others_gap_longest_ms": _ms(found.others.gaps, 1),
        }
        for server, found in loads.items()
    ]


def _goals(cells: dict[tuple[str, Cell], list[Measured]]) -> list[Goal]:
    goals = []
    for cell in [cell for server, cell in cells if server == OURS]:
        ours, plain = cells[OURS, cell], cells[PLAIN, cell]
        # Pairs of one round, measured one after the other.
        ratio = statistics.median(a.speed / b.speed for a, b in zip(ours, plain, strict=True))
        later = _ms(_first(ours), 0.5) - _ms(_first(plain), 0.5)
        name = f"{cell[0]}, {cell[1]} at once"
        goals.append(
            Goal(f"{name}: throughput, of vLLM's", f">= {LEAST_RATIO}", f"{ratio:.3f}", ratio >= LEAST_RATIO)
        )
        goals.append(
            Goal(
                f"{name}: TTFT p50 later than vLLM's", f"<= {MOST_MS} ms", f"{later:.1f} ms", later <= MOST_MS
            )
        )
    return goals


def _first(measured: list[Measured]) -> list[float]:
    return [seconds for one in measured for seconds in one.first]


def _ms(seconds: list[float], share: float) -> float:
    """The quantile, in milliseconds."""
    ordered = sorted(seconds)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 2)


if __name__ == "__main__":
    run(main, console)
