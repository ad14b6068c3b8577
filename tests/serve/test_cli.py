"""The command line as a user meets it: a process, its output, its exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve import tiny
from tests.serve.test_client import listening
from tests.serve.tiny import Base
from tests.waiting import PATIENCE, python


@pytest.fixture
def url(tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = tiny.make_server(tmp_path / "registry", base)
    monkeypatch.setenv("ENXERTO_API_KEY", server.key)
    with listening(server.app) as url:
        yield url


def serve(*arguments: str | Path, url: str = "http://127.0.0.1:9", stdin: str = "") -> tuple[int, str, str]:
    environment = {**os.environ, "ENXERTO_URL": url, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "serve", *map(str, arguments)],
        input=stdin, capture_output=True, text=True, env=environment, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_day_with_the_registry(url: str, base: Base, tmp_path: Path) -> None:
    first, second = (tiny.make_adapter(tmp_path / str(seed), base, seed) for seed in (1, 2))
    code, out, _ = serve("push", first, "--name", "support", "--alias", "default", url=url)
    assert code == 0
    assert out.startswith("support@1 is ready, alias default (sha256:")
    code, out, _ = serve("push", second, "--name", "support", "--json", url=url)
    assert (code, json.loads(out)["version"]) == (0, 2)
    assert serve("promote", "support@2", url=url)[:2] == (0, "support:default -> version 2\n")
    assert serve("rollback", "support", url=url)[:2] == (0, "support:default -> version 1\n")
    assert serve("promote", "support@2", "--alias", "canary", url=url)[0] == 0
    code, out, _ = serve("ls", url=url)
    assert code == 0
    assert out.splitlines()[1].split() == [
        "support",
        "2",
        "2",
        "(ready)",
        "canary",
        "->",
        "2,",
        "default",
        "->",
        "1",
    ]
    assert json.loads(serve("ls", "--json", url=url)[1])[0]["aliases"] == {"canary": 2, "default": 1}
    code, out, _ = serve("show", "support", url=url)
    assert (code, len(out.splitlines())) == (0, 1 + 2 + 2 * 2 + 1 + 4)
    assert json.loads(serve("show", "support", "--json", url=url)[1])["history"][0]["version"] == 1
    assert serve("chat", "hello", "--model", "support:canary", url=url)[:2] == (0, "support@2 heard hello\n")
    assert serve("chat", url=url, stdin="a\nb\n")[:2] == (0, "tiny-awq heard a\ntiny-awq heard b\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["push", "nowhere", "--name", "support"], "error: nowhere is no folder"),
        (["push", ".", "--name", "Support"], "error: adapter name 'Support' is not allowed"),
        (["promote", "support"], "error: 'support' is no version; write NAME@NUMBER, as in support@3."),
        (["promote", "support:canary"], "is no version"),
        (["show", "../x"], "error: adapter name '../x' is not allowed"),
        (["rollback", "support"], "error: no model or adapter is named 'support'"),
        (["ls", "--url", "nonsense"], "error: no answer from nonsense"),
        (["up", "--base", "no-such-base"], "error: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], why: str, url: str) -> None:
    code, out, err = serve(*arguments, url=url)
    assert (code, out) == (2, "")
    assert why in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["pussh"], ["push"], ["ls", "--jsn"], ["up", "--port", "0"], []])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert serve(*arguments)[0] == 2


def test_ctrl_c_is_exit_code_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "serve", "ls", "--url", url],
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job inherits an ignored SIGINT; a person's terminal does not give that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        silent.accept()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "")


def test_help_starts_without_anything_heavy() -> None:
    command = "import sys, serve.cli; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["torch", "vllm", "transformers", "sqlalchemy", "fastapi", "httpx", "stamina", "numpy", "uvicorn"]
    done = subprocess.run([sys.executable, "-c", command, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    shown, seconds = python("-m", "serve", "--help")
    assert shown.returncode == 0
    assert seconds < 5
