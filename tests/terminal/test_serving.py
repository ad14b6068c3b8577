"""What a person sees of a server that starts, and of an evaluation, in a real terminal."""

import sys
from pathlib import Path

import pytest
import yaml

from bench.line import free_port
from bench.terminal import CTRL_C, Terminal
from tests.serve import tiny
from tests.serve.talking import TalkingEngine
from tests.serve.test_client import listening
from tests.serve.tiny import TinyServer


def test_ctrl_c_while_the_engine_starts_ends_at_once_and_calmly(tmp_path: Path) -> None:
    base = tiny.make_base(tmp_path / "bases" / "tiny")
    command = [sys.executable, "-m", "serve", "up", "--base", str(base.folder), "--port", str(free_port())]
    with Terminal(command, environment={"ENXERTO_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("its log is")
        terminal.send(CTRL_C)
        # By the signal itself: vLLM waits for its engine where no handler of Python's would run.
        assert terminal.finish() in (-2, 130)
        assert terminal.flat.startswith("starting vLLM on tiny-awq; its log is ")
        assert "Traceback" not in terminal.text


def talking(folder: Path) -> TinyServer:
    base = tiny.make_base(folder / "base")
    server = tiny.make_server(folder / "registry", base)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    return server


def suite(folder: Path, *prompts: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(
        yaml.safe_dump({"name": "short", "tasks": [{"name": "chat", "kind": "chat", "prompts": [*prompts]}]})
    )
    return path


@pytest.mark.parametrize("columns", [80, 200])
def test_an_evaluation_is_a_bar_and_a_table(tmp_path: Path, columns: int) -> None:
    server = talking(tmp_path)
    with (
        listening(server.app) as url,
        _evaluating(server, url, tmp_path, columns, "words 3", "words 4") as terminal,
    ):
        assert terminal.finish() == 0, terminal.text
        assert "2/2" in terminal.text and terminal.text.count("chat ") <= 4
        assert "Report: " in terminal.text
        assert "Traceback" not in terminal.text and "Warning" not in terminal.text


def test_ctrl_c_ends_an_evaluation_calmly(tmp_path: Path) -> None:
    server = talking(tmp_path)
    with listening(server.app) as url, _evaluating(server, url, tmp_path, 80, "wait", "wait") as terminal:
        terminal.wait_for("0/2")
        terminal.send(CTRL_C)
        assert terminal.finish() == 130
        assert "Traceback" not in terminal.text


def _evaluating(server: TinyServer, url: str, folder: Path, columns: int, *prompts: str) -> Terminal:
    command = [sys.executable, "-m", "finetune", "eval", str(suite(folder, *prompts)), "--models", "base"]
    environment = {"ENXERTO_HOME": str(folder), "ENXERTO_API_KEY": server.key, "ENXERTO_URL": url}
    return Terminal([*command, "--out", str(folder / "out")], columns, environment=environment)
