"""`serve up` before there is an engine, and the engine's process after its server is gone."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.tiny import make_base
from tests.waiting import PATIENCE, eventually


def _up(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve", "up", *options]
    environment = os.environ | {"ENXERTO_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def test_a_port_in_use_is_said_before_the_engine_starts(tmp_path: Path) -> None:
    base = make_base(tmp_path / "bases" / "tiny")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for given in ("tiny", str(base.folder)):
            ended = _up(tmp_path, "--base", given, "--port", port)
            assert ended.returncode == 2
            assert f"127.0.0.1:{port}" in ended.stderr
            assert len(ended.stderr.splitlines()) == 1
            assert "vLLM" not in ended.stdout


def test_a_preload_that_cannot_be_is_said_before_the_engine_starts(tmp_path: Path) -> None:
    make_base(tmp_path / "bases" / "tiny")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ended = _up(tmp_path, "--base", "tiny", "--port", port, "--preload", "support, sql")
    assert ended.returncode == 2
    assert "no model or adapter is named 'support'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "vLLM" not in ended.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--base", "absent"), "make base BASE=absent"),
        (("--base", "tiny", "--max-lora-rank", "24"), "--max-lora-rank 24"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    make_base(tmp_path / "bases" / "tiny")
    ended = _up(tmp_path, *options)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


SERVER_AND_ENGINE = """
import multiprocessing, os, time
from serve.engine import plugin

def engine(ready):
    plugin.follow_server()
    ready.send(os.getpgrp())
    time.sleep(600)

if __name__ == "__main__":
    os.environ[plugin.SERVER] = str(os.getpid())
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=engine, args=(there,))
    process.start()
    print(process.pid, here.recv(), flush=True)
    time.sleep(600)
"""


def test_the_engine_dies_with_a_killed_server(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER_AND_ENGINE)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        engine, group = map(int, server.stdout.readline().split())
        assert group == engine, "Ctrl-C in the terminal must reach the server alone"
        server.send_signal(signal.SIGKILL)
    eventually(lambda: not _alive(engine), "the engine outlived its server")


def _alive(process: int) -> bool:
    """Whether it runs; one that is dead and not yet collected does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
