"""What `finetune eval` adds to the requests themselves, and what a second run asks.

An endpoint in a process of its own answers at once. `finetune eval` asks it 10 000 questions, 64 at a time,
and writes its reports; a bare loop with the same client sends the same bodies and does nothing else.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp

from bench.results import Goal
from data.errors import UserError
from data.report import read_report
from tests.finetune.eval.conftest import DIGEST, clock, reply, write_lines
from tests.finetune.eval.endpoint import Fake, serving

QUESTIONS, CONCURRENCY = 5_000, 64
MODELS = ("base", "support")
SAMPLES = QUESTIONS * len(MODELS)
MOST_MS, MOST_MB = 1.0, 300
SUITE = """\
name: bench
concurrency: {concurrency}
tasks:
  - {{name: calls, kind: tools, data: {data}}}
"""
Row = dict[str, Any]


def measured(folder: Path) -> tuple[list[Row], list[Goal]]:
    data, suite, out = folder / "calls.jsonl", folder / "bench.yaml", folder / "out"
    zones, kinds = ("Lisbon", "Quito", "Oslo"), ("single", "far", "none")
    write_lines(data, [clock(n, f"{zones[n % 3]} {n}", kinds[n % 3]) for n in range(QUESTIONS)])
    suite.write_text(SUITE.format(concurrency=CONCURRENCY, data=data), encoding="utf-8")
    with _endpoint() as (url, count):
        bodies = folder / "bodies.jsonl"
        command = [sys.executable, "-m", "finetune", "eval", str(suite), "--models", ",".join(MODELS)]
        command += ["--url", url, "--out", str(out)]
        home = os.environ | {"ENXERTO_HOME": str(folder / "home")}
        ours = _cost(command, home)
        asked = count()
        again = _cost([*command[:-1], str(folder / "again")], home)
        asked_again = count() - asked
        write_lines(bodies, _bodies(out))
        bare = _cost([sys.executable, "-m", "bench.eval_runner", url, str(bodies)], home)
    adds = 1000 * (ours["seconds"] - bare["seconds"]) / SAMPLES
    rows = [
        {"what": "finetune eval", "samples": SAMPLES, **ours},
        {"what": "a bare loop of the same requests", "samples": SAMPLES, **bare},
        {"what": "finetune eval, all known", "samples": SAMPLES, **again, "asked": asked_again - len(MODELS)},
    ]
    about = f"{SAMPLES:,} samples, {CONCURRENCY} at a time"
    cpu = 1000 * ours["cpu_seconds"] / SAMPLES
    return rows, [
        Goal(f"{about}: time added to each", f"< {MOST_MS:g} ms", f"{adds:.2f} ms", adds < MOST_MS),
        Goal(
            "CPU time for each, HTTP and reports included",
            f"< {MOST_MS:g} ms",
            f"{cpu:.2f} ms",
            cpu < MOST_MS,
        ),
        Goal("memory", f"< {MOST_MB} MB", f"{ours['peak_rss_mb']:.0f} MB", ours["peak_rss_mb"] < MOST_MB),
        Goal(
            "questions that a second run asks",
            "0",
            str(asked_again - len(MODELS)),
            asked_again == len(MODELS),  # a probe of one token says who answers under a name
        ),
    ]


def _bodies(out: Path) -> list[Row]:
    """Requests of the same size as those of the report."""
    report = read_report(out)
    if len(report.samples) != QUESTIONS or any(metric.unscored for metric in report.metrics):
        raise UserError("not every question was scored.")
    tools = clock(0, "", "")["tools"]
    settings = {"tools": tools, "temperature": 0, "max_tokens": 256, "seed": 0}
    return [
        {"model": served.model, "messages": sample.messages, **settings}
        for sample in report.samples
        for served in report.models
    ]


def _cost(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"{' '.join(command[1:4])} ended with exit code {process.returncode}.")
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mb": round(usage.ru_maxrss / 1000, 1),
    }


@contextmanager
def _endpoint() -> Iterator[tuple[str, Any]]:
    """Its address, and a function that says how many chat requests it has answered."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()

    def count() -> int:
        here.send("count")
        return int(here.recv())

    try:
        yield here.recv(), count
    finally:
        here.close()
        process.join(10)


class _Counted(list[Any]):
    """As long as what was appended, without keeping it."""

    total = 0

    def append(self, item: Any) -> None:
        self.total += 1


def _serve(connection: Connection) -> None:
    counted = _Counted()
    with serving(Fake(reply=reply, adapters={"support": DIGEST}, asked=counted)) as fake:
        connection.send(fake.url)
        with suppress(EOFError):
            while connection.recv():
                connection.send(counted.total)


async def _bare(url: str, bodies: list[Row]) -> None:
    waiting = iter(bodies)

    async def work(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                await response.json()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    asyncio.run(_bare(sys.argv[1], [json.loads(line) for line in lines]))
