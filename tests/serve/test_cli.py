"""The command line as a user meets it: a process, its output, its exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from data.home import key_of_port
from serve.own_key import known_by_port
from tests.serve import tiny
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import HUNG, PATIENCE, python


@pytest.fixture
def url(server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
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
    assert serve("chat", "support:canary", "hello", url=url)[:2] == (0, "support@2 heard hello\n")
    assert serve("chat", "base", url=url, stdin="a\n\n  \nb\n")[:2] == (
        0,
        "tiny-awq heard a\ntiny-awq heard b\n",
    )


def test_rm_says_what_was_removed_and_asks_which_of_an_adapters_parts(
    url: str, base: Base, tmp_path: Path
) -> None:
    for seed in (1, 2):
        adapter = tiny.make_adapter(tmp_path / str(seed), base, seed)
        assert serve("push", adapter, "--name", "support", url=url)[0] == 0
    code, out, err = serve("rm", "support", url=url)
    assert (code, out) == (2, "")
    assert "'support' is an adapter with all its versions" in err
    assert "support:default, support@1, support@2" in err
    assert [one["version"] for one in json.loads(serve("show", "support", "--json", url=url)[1])["versions"]]
    assert "no model or adapter is named 'suport'" in serve("rm", "suport", url=url)[2]
    assert serve("rm", "support:default", url=url)[:2] == (
        0,
        "the alias support:default is removed; support@2 stays\n",
    )
    assert serve("rm", "support@2", url=url)[1].startswith("support@2 is removed; `serve gc` frees its bytes")
    assert "support@1" in serve("rm", "support", url=url)[2]
    assert serve("rm", "support@1", url=url)[0] == 0
    assert "nothing is left of 'support'" in serve("rm", "support", url=url)[2]


def test_names_that_mean_something_else_are_refused_for_new_adapters_only(
    url: str, base: Base, tmp_path: Path, server: TinyServer
) -> None:
    adapter = tiny.make_adapter(tmp_path / "one", base)
    for name in ("base", "latest", "default", "none", "null", "all", "007", "42", "tiny-awq"):
        code, out, err = serve("push", adapter, "--name", name, url=url)
        assert (code, out) == (2, ""), name
        assert err.count("\n") == 1 and repr(name) in err and "under another" in err
    for name in ("base-v2", "v7", "latest-news"):
        assert serve("push", adapter, "--name", name, url=url)[0] == 0, err
    # One of before there was the rule: it answers, takes versions, and is what `base` means in a chat.
    server.registry.add("base", tiny.check_adapter(adapter, base))
    assert serve("push", tiny.make_adapter(tmp_path / "two", base, 2), "--name", "base", url=url)[0] == 0
    assert serve("chat", "base", "hi", url=url)[:2] == (0, "base@2 heard hi\n")


@pytest.mark.parametrize("written", ["{host}", "{url}/", "{url}/v1", "{host}/v1/", "  {url}  "])
def test_every_way_to_write_an_address_is_understood(url: str, written: str) -> None:
    given = written.format(url=url, host=url.removeprefix("http://"))
    assert serve("chat", "base", "hi", "--url", given) == (0, "tiny-awq heard hi\n", "")
    assert serve("ls", url=given)[0] == 0


def test_nobody_there_is_said_once_and_at_once(tmp_path: Path) -> None:
    code, out, err = serve("ls", url="http://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: no answer from http://127.0.0.1:9 ") and "`serve up`" in err


def test_a_wrong_key_says_which_was_sent(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", "enx_wrong")
    assert "The command sent $ENXERTO_API_KEY" in serve("ls", url=url)[2]
    monkeypatch.delenv("ENXERTO_API_KEY")
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    assert "Set $ENXERTO_API_KEY to a key" in serve("ls", url=url)[2]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("enx_other\n")
    port = int(url.rpartition(":")[2])
    with known_by_port(port, None, None):
        said = serve("ls", url=url)[2]
    assert f"sent the one in {key_of_port(port)}" in said
    assert "serve keys ls" not in said


def test_chat_takes_its_manner_from_options(url: str) -> None:
    said = ("chat", "base", "hi", "--max-tokens", "7", "--temperature", "0", "--system", "Be kind.")
    assert serve(*said, url=url)[:2] == (0, "tiny-awq heard hi\n")
    assert serve("chat", "base", "hi", "--max-tokens", "0", url=url)[0] == 2
    code, _, err = serve("chat", "what is the time?", url=url)
    assert code == 2 and "the model's name comes first" in err
    assert serve("chat", "base", "  ", url=url)[0] == 2
    assert "no model or adapter is named 'suport'" in serve("chat", "suport", "hi", url=url)[2]


def test_keys_list_is_keys_ls(url: str) -> None:
    assert serve("keys", "list", url=url) == serve("keys", "ls", url=url)


def test_pull_takes_its_folder_either_way(url: str, base: Base, tmp_path: Path) -> None:
    assert serve("push", tiny.make_adapter(tmp_path / "1", base), "--name", "support", url=url)[0] == 0
    for given in ((tmp_path / "a",), ("--out", tmp_path / "b")):
        assert serve("pull", "support@1", *given, url=url)[0] == 0
        assert (given[-1] / "manifest.json").is_file()
    assert serve("pull", "support@1", url=url)[0] == 2
    assert serve("pull", "support@1", "x", "--out", "y", url=url)[0] == 2


@pytest.mark.parametrize("program", ["serve", "finetune"])
def test_a_program_knows_its_version_and_completes_words(program: str) -> None:
    def said(option: str) -> str:
        # From bash, and not in its place: the shell that asks is found among a program's ancestors.
        line = f'"{sys.executable}" -m {program} {option}; exit $?'
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=HUNG)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said("--version").startswith(f"enxerto {version('enxerto')}, Python 3.")
    assert "COMPREPLY" in said("--show-completion")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["push", "nowhere", "--name", "support"], "error: nowhere does not exist"),
        (["push", ".", "--name", "Support"], "error: adapter name 'Support' is not allowed"),
        (["promote", "support"], "error: 'support' is no version; write NAME@NUMBER, as in support@3."),
        (["promote", "support:canary"], "is no version"),
        (["show", "../x"], "error: adapter name '../x' is not allowed"),
        (["rollback", "support"], "error: no model or adapter is named 'support'"),
        (["ls", "--url", "ftp://nonsense"], "error: 'ftp://nonsense' is no address of a server"),
        (["ls", "--url", "http://host:port"], "error: 'http://host:port' is no address of a server"),
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
