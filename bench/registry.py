"""`make bench-registry`: what a registry costs as it grows to 10 000 adapters, on SQLite and on PostgreSQL.

The adapters are rows as a push writes them, without their bytes. Names are resolved by the registry itself,
lists and moves are asked for over HTTP on the loopback, of a server in a process of its own.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bench import registry_upload as upload
from bench.command import run
from bench.registry_rows import fill, name_of
from bench.registry_server import ok, served
from bench.results import Goal, show, write
from data.errors import UserError
from serve.registry.registry import Registry
from tests.serve import services, tiny
from tests.serve.tiny import Base

RESULTS = Path("bench/results/registry.json")
SIZES = (100, 1_000, 10_000)
ASKED = 100
"""Different names, and keys, that are looked up."""

MOST_MS = {
    "resolve from memory": 1,
    "resolve from SQL": 5,
    "key from memory": 1,
    "key from SQL": 5,
    "list 100 over HTTP": 100,
}
"""What 99 of 100 may take in the largest registry."""

console = Console(highlight=False)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="adapters, growing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as name:
        folder = Path(name)
        rows = upload.measured(folder)
        base = tiny.make_base(folder / "base")
        with services.postgres(fsync=True) as server:
            for kind, url in (("sqlite", None), ("postgresql", services.new_database(server))):
                rows += _grow(kind, url, folder, base, given.sizes)
    goals = [upload.goal(rows), *_lookup_goals(rows, max(given.sizes))]
    for row in rows:
        where = f"{row['database']}, {row['adapters']}" if "database" in row else ""
        figures = [f"{key} {row[key]}" for key in row if key not in ("what", "database", "adapters")]
        console.print(f"{where:<20}{row['what']:<42}{', '.join(figures)}", soft_wrap=True)
    show(console, "registry", goals)
    sizes = " ".join(map(str, given.sizes))
    write(given.out, f"python -m bench.registry --sizes {sizes}", rows, goals)


def _grow(kind: str, database: str | None, folder: Path, base: Base, sizes: Iterable[int]) -> Iterator[Row]:
    """Rows for each size in turn, of one registry that grows."""
    home = folder / kind
    registry = tiny.make_registry(home, base, database=database)
    for seed in range(2):
        adapter = tiny.make_adapter(folder / f"{kind}-{seed}" / "adapter", base, seed)
        registry.add("moved", tiny.check_adapter(adapter, base), "bench")
    model = registry.storage.index.versions("moved")[0]
    secrets = [registry.storage.keys.create(f"key-{number}", ["chat"]) for number in range(ASKED)]
    filled = 0
    for size in sizes:
        console.print(f"{kind}: {size:,} adapters")
        fill(registry.storage, model, filled, size)
        filled = size
        about = {"database": kind, "adapters": size}
        yield about | {"what": "size", "megabytes": round(registry.storage.database.size() / 1e6, 2)}
        for what, seconds in _looked_up(registry, base, secrets, size):
            yield about | {"what": what, **_spread(seconds)}
        with served(home, base, database) as client:
            for row in _over_http(client, size):
                yield about | row
    registry.close()


def _looked_up(
    registry: Registry, base: Base, secrets: list[str], size: int
) -> Iterator[tuple[str, list[float]]]:
    names = [name_of(number) for number in range(0, size, size // ASKED)]

    def forgetful() -> Registry:
        """Another server of the same registry, with nothing in its memory."""
        return Registry(registry.storage, base.manifest, tiny.MAX_RANK)

    def over(
        times: int, look_up: Callable[[Registry, str], object], asked: list[str], fresh: bool
    ) -> list[float]:
        seconds = []
        known = forgetful()
        for one in asked:
            look_up(known, one)
        for _ in range(times):
            server = forgetful() if fresh else known
            server.look()
            seconds += [_timed(lambda s=server, o=one: look_up(s, o)) for one in asked]
        return seconds

    yield "resolve from memory", over(20, Registry.resolve, names, fresh=False)
    yield "resolve from SQL", over(5, Registry.resolve, names, fresh=True)
    yield "key from memory", over(20, Registry.key, secrets, fresh=False)
    yield "key from SQL", over(5, Registry.key, secrets, fresh=True)
    yield "unknown name", [_timed(lambda n=name: _unknown(registry, n + "x")) for name in names[:20]]
    yield (
        "alias move",
        [
            _timed(lambda n=name, s=step: registry.set_alias(n, "canary", s[1], s[0], "bench"))
            for name in names
            for step in ((None, 1), (1, None))
        ],
    )


def _over_http(client: httpx.Client, size: int) -> Iterator[Row]:
    move = "/v1/adapters/moved/aliases/default"
    steps = [{"version": number} for number in (1, 2) * ASKED]
    seconds = [_timed(lambda s=step: ok(client.put(move, json=s))) for step in steps]
    yield {"what": "alias move over HTTP", **_spread(seconds)}
    page = {"limit": 100, "after": name_of(size // 2)}
    kilobytes = len(client.get("/v1/adapters", params=page).content) / 1000
    seconds = [_timed(lambda: ok(client.get("/v1/adapters", params=page))) for _ in range(2 * ASKED)]
    yield {"what": "list 100 over HTTP", **_spread(seconds), "kilobytes": round(kilobytes)}
    first = _timed(lambda: ok(client.get("/v1/models")))
    yield {"what": "list all models over HTTP", "seconds": round(first, 3)}
    started, after, listed = time.perf_counter(), "", 0
    while after is not None:
        answer = ok(client.get("/v1/adapters", params={"limit": 1000, "after": after})).json()
        listed, after = listed + len(answer["data"]), answer["next"]
    if listed != size + 1:
        raise UserError(f"{listed} of {size + 1} adapters were listed.")
    yield {"what": "list all over HTTP", "seconds": round(time.perf_counter() - started, 3)}


def _lookup_goals(rows: list[Row], size: int) -> list[Goal]:
    return [
        Goal(
            f"{row['what']}, {size:,} adapters, {row['database']}",
            f"< {MOST_MS[row['what']]} ms",
            f"{row['median_ms']} ms, p99 {row['p99_ms']} ms",
            row["p99_ms"] < MOST_MS[row["what"]],
        )
        for row in rows
        if row.get("adapters") == size and row["what"] in MOST_MS
    ]


def _unknown(registry: Registry, name: str) -> None:
    try:
        registry.resolve(name)
    except UserError:
        return
    raise UserError(f"{name} was found.")


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(statistics.median(ordered) * 1000, 4),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 4),
        "times": len(ordered),
    }


if __name__ == "__main__":
    run(main, console)
