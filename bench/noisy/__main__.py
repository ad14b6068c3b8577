"""`make bench-noisy`: what an honest client of the real server feels of hostile ones, with and without keys.

First the server alone, then beside all of `attacks.py`, then alone again: time to first token of an honest
key's streams, of /health on connections of their own, errors, and memory of the server and its engine.
Everything runs on one machine, so the attackers have its cores at the lowest priority: what is measured is
what they cost the server, not what their own processes take away.
"""

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from rich.console import Console

from bench.command import run
from bench.noisy.attacks import WITH_KEY, WITHOUT
from bench.parent import die_with_parent
from bench.results import Goal, show, write
from bench.serve.load import tokens_of
from data.errors import UserError
from data.home import base_folder
from tests.conftest import BASE, Server, serving

RESULTS = Path("bench/results/noisy.json")
TOKENS = 16
HEALTH_EVERY = 0.1
REST_SECONDS = 30
"""What a server has to come to rest in before its memory is read again."""

LEAST = 100
"""Answers of which a 99th percentile is one."""

console = Console(highlight=False)


@dataclass
class Felt:
    """Seconds to each first token and of each /health, and what went wrong."""

    first: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=900, help="beside the attackers")
    parser.add_argument("--quiet", type=float, default=60, help="seconds alone, before")
    parser.add_argument("--only", nargs="*", help="some of the attackers, by name")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    known = {one.__name__ for one in WITH_KEY + WITHOUT}
    if unknown := set(given.only or ()) - known:
        raise UserError(f"there is no attacker {unknown.pop()!r}; they are {', '.join(sorted(known))}.")
    base = base_folder(BASE)
    if not (base / "base.json").is_file():
        raise UserError(f"there is no base {BASE}; make it with `make base`.")
    with TemporaryDirectory(prefix="enxerto-noisy-") as folder:
        home = Path(folder)
        (home / "bases").mkdir()
        (home / "bases" / BASE).symlink_to(base.resolve())
        with serving(home, home / "bases" / BASE, "--max-model-len", "2048") as server:
            rows, goals = asyncio.run(_measure(server, given.quiet, given.seconds, given.only))
    for row in rows:
        console.print(json.dumps(row), soft_wrap=True)
    show(console, f"noisy neighbors, {given.seconds:g} s", goals)
    only = f" --only {' '.join(given.only)}" if given.only else ""
    command = f"python -m bench.noisy --seconds {given.seconds:g} --quiet {given.quiet:g}{only}"
    write(given.out, command, rows, goals)


async def _measure(
    server: Server, quiet: float, seconds: float, only: Sequence[str] | None
) -> tuple[list[dict[str, Any]], list[Goal]]:
    keys = await _keys(server, ["honest", *(one.__name__ for one in WITH_KEY)])
    await _felt(server, keys["honest"], min(10, quiet))  # warm
    alone = await _felt(server, keys["honest"], quiet)
    before, engine = _memory(server), _engine(server).pid
    console.print(f"alone: {json.dumps(_row(alone))}", soft_wrap=True)
    with _attacking(server, keys, only) as told:
        beside = await _felt(server, keys["honest"], seconds)
    answers = told()
    await asyncio.sleep(REST_SECONDS)
    after, after_engine = _memory(server), _engine(server).pid
    rows = [
        {"phase": "alone", **_row(alone), "rss_mib": before},
        {"phase": "beside the attackers", **_row(beside)},
        {"phase": f"{REST_SECONDS} s after", "rss_mib": after},
        {"attackers": answers},
    ]
    limit = 3 * _p99(alone.first)
    grown = {name: after.get(name, math.inf) / size - 1 for name, size in before.items()}
    fives = sum(count for kind, count in beside.errors.items() if kind != "429")
    goals = [
        _under("p99 of the first token", _p99(beside.first), limit),
        _under("p99 of /health", _p99(beside.health), 0.25),
        Goal("honest 5xx and broken answers", "0", str(fives), fives == 0),
        Goal("honest 429", "0", str(beside.errors["429"]), beside.errors["429"] == 0),
        *(
            Goal(f"growth of the {name}'s memory", "<= 10%", f"{more:+.1%}", more <= 0.1)
            for name, more in grown.items()
        ),
        Goal("the engine's process", f"{engine}", f"{after_engine}", after_engine == engine),
    ]
    return rows, goals


def _under(name: str, seconds: float, limit: float) -> Goal:
    return Goal(name, f"<= {limit * 1000:.0f} ms", f"{seconds * 1000:.0f} ms", seconds <= limit)


async def _keys(server: Server, names: Sequence[str]) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as client:
        made = {}
        for name in names:
            answer = await client.post("/v1/keys", json={"name": name.replace("_", "-"), "scopes": ["chat"]})
            answer.raise_for_status()
            made[name] = answer.json()["secret"]
        return made


async def _felt(server: Server, key: str, seconds: float) -> Felt:
    """An honest client's streams, one after another, and /health beside them."""
    felt, end = Felt(), time.monotonic() + seconds
    await asyncio.gather(_chats(server, key, end, felt), _healths(server, end, felt))
    return felt


async def _chats(server: Server, key: str, end: float, felt: Felt) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=120) as client:
        number = 0
        while time.monotonic() < end:
            number += 1
            began, first = time.perf_counter(), None
            try:
                async for now, _ in tokens_of(client, server.base.name, f"Question {number}?", TOKENS):
                    first = first or now
            except httpx.HTTPStatusError as error:
                felt.errors[str(error.response.status_code)] += 1
            except (httpx.HTTPError, ValueError, KeyError) as error:
                felt.errors[type(error).__name__] += 1
            else:
                if first is None:
                    felt.errors["no token"] += 1
                else:
                    felt.first.append(first - began)
            await asyncio.sleep(0.05)


async def _healths(server: Server, end: float, felt: Felt) -> None:
    while time.monotonic() < end:
        began = time.perf_counter()
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
                (await client.get("/health")).raise_for_status()
            felt.health.append(time.perf_counter() - began)
        except httpx.HTTPStatusError as error:
            felt.errors[f"/health {error.response.status_code}"] += 1
        except httpx.HTTPError as error:
            felt.errors[f"/health {type(error).__name__}"] += 1
        await asyncio.sleep(HEALTH_EVERY)


@contextmanager
def _attacking(server: Server, keys: dict[str, str], only: Sequence[str] | None) -> Iterator[Any]:
    """All attackers at work; what is yielded says, once they are ended, what each was answered."""
    port = server.url.rpartition(":")[2]
    running: dict[str, subprocess.Popen[str]] = {}
    told: dict[str, Any] = {}
    for number, attack in enumerate(WITH_KEY + WITHOUT, start=2):
        name = attack.__name__
        if only and name not in only:
            continue
        line = [name, port, f"127.0.0.{number}", server.base.name, *([keys[name]] if name in keys else [])]
        running[name] = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, "-m", "bench.noisy.attacks", *line],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield lambda: told
    finally:
        for name, process in running.items():
            ended = process.poll()
            process.terminate()
            lines = process.communicate()[0].splitlines()
            told[name] = json.loads(lines[-1]) if lines else {}
            if ended is not None:
                told[name]["ended by itself"] = ended


def _memory(server: Server) -> dict[str, int]:
    """MiB of the server and of its children, of which the engine is the largest by far."""
    processes = {"server": psutil.Process(server.process), "engine": _engine(server)}
    return {name: process.memory_info().rss >> 20 for name, process in processes.items()}


def _engine(server: Server) -> psutil.Process:
    children = psutil.Process(server.process).children(recursive=True)
    return max(children, key=lambda child: child.memory_info().rss)


def _p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100)[98] if len(times) >= LEAST else max(times, default=math.inf)


def _row(felt: Felt) -> dict[str, Any]:
    def of(times: Sequence[float]) -> dict[str, Any]:
        middle = statistics.median(times) if times else math.nan
        return {"n": len(times), "p50_ms": round(middle * 1000, 1), "p99_ms": round(_p99(times) * 1000, 1)}

    return {"first_token": of(felt.first), "health": of(felt.health), "errors": dict(felt.errors)}


if __name__ == "__main__":
    run(main, console)
