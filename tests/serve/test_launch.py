"""`serve up` before there is an engine, and the engine's process after its server is gone."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from data.home import key_file, key_of_port
from serve import log_file
from serve.client.registry import adapters
from serve.own_key import known_by_port
from serve.registry.storage import open_storage
from tests.serve.test_client import listening
from tests.serve.tiny import make_base, make_server
from tests.waiting import HUNG, PATIENCE, eventually


def _up(home: Path, *options: str, here: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve", "up", *options]
    environment = os.environ | {"ENXERTO_HOME": str(home)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, cwd=here
    )


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


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
    ended = _up(tmp_path, "--base", "tiny", "--port", _free_port(), "--preload", "support, sql")
    assert ended.returncode == 2
    assert "no model or adapter is named 'support'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "vLLM" not in ended.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--base", "absent"), "finetune base absent"),
        (("--base", "tiny", "--max-lora-rank", "24"), "--max-lora-rank 24"),
        (("--base", "tiny", "--max-model-len", "2049"), "the 2048 tokens that tiny was made for"),
        (("--base", "tiny", "--max-model-len", "999999"), "the 2048 tokens that tiny was made for"),
        (("--base", "tiny", "--registry", "FILE"), "cannot be used for a registry (Not a directory)"),
        (
            ("--base", "tiny", "--registry", "FILE/below"),
            "give a folder that can be written, with --registry",
        ),
        (("--base", "tiny", "--registry", "/proc/registry"), "cannot be used for a registry"),
        (("--base", "tiny", "--registry", "NO_INDEX"), "the index of the registry in"),
        (("--base", "tiny", "--blobs", "/proc/blobs"), "give a folder that can be written, with --blobs"),
        (("--base", "tiny", "--blobs", "FILE"), "FILE cannot be used for a registry"),
        (("--base", "tiny", "--database", "sqlite:////proc/x/index"), "cannot be opened (unable to open"),
        (("--base", "tiny", "--log-to", "/proc/x.log"), "give another file with --log-to"),
        (("--base", "tiny", "--log-to", "."), "the log . cannot be written (Is a directory)"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    base = make_base(tmp_path / "bases" / "tiny")
    (base.folder / "config.json").write_text('{"max_position_embeddings": 2048}')
    (tmp_path / "FILE").write_text("a file")
    (tmp_path / "NO_INDEX").mkdir()
    (tmp_path / "NO_INDEX" / "index.sqlite").write_text("no database, whatever it is called " * 99)
    ended = _up(tmp_path, *options, "--port", _free_port(), here=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "vLLM" not in ended.stdout


def test_each_registry_has_a_key_of_its_own_and_none_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for does not exist, so each start ends once the registry is open and has its key."""
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path))
    monkeypatch.delenv("ENXERTO_API_KEY", raising=False)
    make_base(tmp_path / "bases" / "tiny")

    def up(*options: str) -> None:
        started = _up(tmp_path, "--base", "tiny", "--port", _free_port(), "--preload", "x", *options)
        assert "no model or adapter is named 'x'" in started.stderr

    up()
    first = key_file().read_text()
    up("--registry", str(tmp_path / "new"))
    up("--registry", str(tmp_path / "registry"))  # the usual one by its name
    up("--database", f"sqlite:///{tmp_path}/elsewhere.sqlite")
    up("--registry", str(tmp_path / "new"))
    assert key_file().read_text() == first
    files = [
        key_file(),
        tmp_path / "new" / "key",
        key_file(database=f"sqlite:///{tmp_path}/elsewhere.sqlite"),
    ]
    assert len({file.read_text() for file in files}) == 3
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    for folder, file in ((tmp_path / "registry", files[0]), (tmp_path / "new", files[1])):
        storage = open_storage(folder)
        assert storage.keys.find(file.read_text().strip()) is not None
        storage.close()

    shutil.rmtree(tmp_path / "registry")  # and with it what the first key opened
    up()
    assert key_file().read_text() != first
    assert (tmp_path / "key.1").read_text() == first


def test_commands_find_the_key_of_the_server_that_they_speak_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ENXERTO_API_KEY", raising=False)
    with ExitStack() as stack:
        urls = []
        for name in ("registry", "second"):
            folder = tmp_path / "home" / "registry" if name == "registry" else tmp_path / name
            base = make_base(tmp_path / f"base-{name}")
            server = make_server(folder, base)
            server.registry.storage.keys.revoke(server.registry.storage.keys.all()[0].name)
            urls.append(stack.enter_context(listening(server.app)))
            registry = None if name == "registry" else folder
            file = key_file(registry)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(server.registry.storage.keys.create("mine", ["admin"]))
            port = int(urls[-1].rpartition(":")[2])
            stack.enter_context(known_by_port(port, registry, None))
        for url in urls:
            assert adapters(url) == []
        link = key_of_port(port)
        assert link.is_file()
    assert not link.exists() and not link.is_symlink()


def test_the_log_is_appended_to_and_set_aside_when_it_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path))
    monkeypatch.setattr(log_file, "KEPT_BYTES", 2000)
    monkeypatch.setattr(log_file, "LOOK_SECONDS", 3600)  # at the starts alone
    path = log_file.path_of(8399)
    for number in range(3):
        with log_file.captured(8399) as (place, terminal):
            os.write(1, f"crash {number}\n".encode())
            subprocess.run(["echo", f"engine {number}"], check=True)
            terminal.print(f"for the person {number}")
        assert place == str(path)
    assert [line for line in path.read_text().splitlines() if line[:3] != "---"] == [
        f"{who} {number}" for number in range(3) for who in ("crash", "engine")
    ]
    assert capfd.readouterr().out == "".join(f"for the person {number}\n" for number in range(3))
    for number in range(6):
        with log_file.captured(8399):
            os.write(2, f"{'x' * 3000} {number}\n".encode())
    kept = sorted(file.name for file in path.parent.iterdir())
    assert kept == [path.name, *(f"{path.name}.{number}" for number in (1, 2, 3))]
    assert path.with_name(f"{path.name}.1").read_text().endswith("x 4\n")
    with log_file.captured(8399, "-"):
        os.write(1, b"to docker\n")
    assert capfd.readouterr().out == "to docker\n"
    with log_file.captured(8399, str(tmp_path / "other" / "a.log")):
        os.write(1, b"elsewhere\n")
    assert "elsewhere" in (tmp_path / "other" / "a.log").read_text()


def test_logs_shows_the_end_and_follows_into_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "serve-8399.log"
    command = [sys.executable, "-m", "serve", "logs", "--port"]
    environment = os.environ | {"ENXERTO_HOME": str(tmp_path)}

    def logs(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, timeout=HUNG
        )

    assert "no server ran here yet" in logs("8399").stderr
    path.parent.mkdir()
    path.write_text("".join(f"line {number}\n" for number in range(200)))
    assert logs("8399", "--lines", "2").stdout == "line 198\nline 199\n"
    missing = logs("8400")
    assert missing.returncode == 2 and "there are logs of --port 8399" in missing.stderr
    with subprocess.Popen(
        [*command, "8399", "-f", "--lines", "1"], env=environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout
        try:
            assert following.stdout.readline() == "line 199\n"
            with path.open("a") as file:
                file.write("added\n")
            assert following.stdout.readline() == "added\n"
            path.rename(path.with_name("serve-8399.log.1"))
            path.write_text("the next start\n")
            assert following.stdout.readline() == "the next start\n"
        finally:
            following.kill()


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
