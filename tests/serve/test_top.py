"""`serve top` beside a real server, as a user runs it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from serve.cli import app
from serve.client.metrics import quantile_of, reading, rows
from tests.serve import tiny
from tests.serve.talking import TalkingEngine, add, chat
from tests.serve.test_client import listening
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

HEADS = "adapter version state in flight req/s tok/s TTFT p50 p95 ITL p50 errors"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyServer:
    base = tiny.make_base(tmp_path / "base")
    server = tiny.make_server(tmp_path / "registry", base)
    for seed, name in enumerate(("support", "support", "sql")):
        add(server, tmp_path, base, name, seed)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    monkeypatch.setenv("ENXERTO_API_KEY", server.key)
    return server


@pytest.fixture
def url(server: TinyServer) -> Iterator[str]:
    with listening(server.app) as url:
        yield url


@pytest.fixture
def http(server: TinyServer, url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client:
        yield client


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["top", *arguments], env={"COLUMNS": "120"}, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    print(f"\n{ran.output}")
    return ran.output


def test_once_is_a_table_of_every_version(http: httpx.Client, url: str) -> None:
    for stream in (True, False):
        chat(http, "words 9", stream=stream)
    chat(http, "refuse")
    chat(http, "words 4", "support@2")
    chat(http, "hello", "nothing")
    title, heads, *lines = run("--once", "--url", url).splitlines()
    assert title.startswith("tiny-awq · 2 of 4 slots · since it started")
    assert " ".join(heads.split()) == HEADS
    shown = {tuple(line.split()[:3]): line.split() for line in lines if "(none)" not in line}
    assert set(shown) == {
        ("(base)", "ready", "0"),
        ("support", "1", "ready"),
        ("support", "2", "ready"),
        ("sql", "1", "stored"),
    }
    assert lines[-1].split()[0] == "(none)"
    support = shown["support", "1", "ready"]
    assert support[-1] == "1" and support.count("ms") == 3
    assert shown["sql", "1", "stored"][-4:] == ["-", "-", "-", "0"]


def test_json_has_the_same_as_numbers(http: httpx.Client, url: str) -> None:
    chat(http, "words 9", stream=True)
    said = json.loads(run("--json", "--url", url))
    assert (said["url"], said["base"], said["engine_up"], said["slots"]) == (url, "tiny-awq", True, 4)
    (row,) = [one for one in said["rows"] if one["adapter"] == "support"]
    assert (row["version"], row["state"], row["requests"], row["in_flight"]) == ("1", "ready", 1, 0)
    assert row["tokens_rate"] == pytest.approx(9 / said["seconds"])
    assert 0 < row["ttft_p50"] <= row["ttft_p95"]


def test_between_two_readings_only_what_happened_there_counts(http: httpx.Client, url: str) -> None:
    for _ in range(3):
        chat(http, "words 9", stream=True)
    chat(http, "refuse")
    before = reading(url)
    chat(http, "words 5", stream=True)
    chat(http, "words 5", "sql")
    now = reading(url)
    found = {row.adapter: row for row in rows(now, before)}
    assert (found["support"].requests, found["sql"].requests, found["(base)"].requests) == (1, 1, 0)
    assert found["support"].errors == 0
    assert found["support"].tokens_rate == pytest.approx(5 / (now.at - before.at))
    assert found["support"].ttft_p50 is not None
    assert found["sql"].ttft_p50 is None


def test_quantiles_are_prometheuss() -> None:
    """Expected: PromQL's histogram_quantile, by its documentation's rule."""
    inf = float("inf")
    assert quantile_of(0.5, {1.0: 0, 2.0: 10, inf: 10}) == 1.5
    assert quantile_of(0.95, {1.0: 50, 2.0: 100, inf: 100}) == pytest.approx(1.9)
    assert quantile_of(0.99, {1.0: 50, 2.0: 50, inf: 100}) == 2.0
    assert quantile_of(0.5, {1.0: 4, inf: 4}) == 0.5
    assert quantile_of(0.5, {1.0: 0, inf: 0}) is None
    assert quantile_of(0.5, {}) is None


def _hears_ctrl_c() -> None:
    """A shell starts what is in the background deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_moving_view_goes_on_until_ctrl_c(http: httpx.Client, url: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "serve", "top", "--every", "0.2", "--url", url]
    environment = os.environ | {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=_hears_ctrl_c,
    )
    os.close(theirs)
    seen = ""
    end = time.monotonic() + PATIENCE
    try:
        while "last 1 s" not in seen:
            assert time.monotonic() < end, seen
            seen += os.read(ours, 2**16).decode()
            chat(http, "words 2")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        os.close(ours)
    assert "since it started" in seen and "support" in seen


def test_no_server_is_one_sentence() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "serve", "top", "--once", "--url", "http://127.0.0.1:9"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: no answer from http://127.0.0.1:9")
    assert len(ran.stderr.splitlines()) == 1
