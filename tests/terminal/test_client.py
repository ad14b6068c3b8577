"""What a person sees of push and chat in a real terminal, at the real app without a model."""

import sys
from pathlib import Path

import pytest

from bench.terminal import CTRL_C, CTRL_D, ENTER, PROMPT, Terminal
from tests.serve import tiny
from tests.serve.conftest import base, server
from tests.serve.talking import TalkingEngine
from tests.serve.test_client import listening, url
from tests.serve.tiny import Base, TinyServer

__all__ = ["base", "server", "url"]


def at(server: TinyServer, url: str, *words: str | Path, columns: int = 80) -> Terminal:
    environment = {"ENXERTO_URL": url, "ENXERTO_API_KEY": server.key}
    return Terminal([sys.executable, "-m", "serve", *map(str, words)], columns, environment=environment)


@pytest.mark.parametrize("columns", [80, 200])
def test_a_push_leaves_its_answer_alone(
    server: TinyServer, url: str, base: Base, tmp_path: Path, columns: int
) -> None:
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    (adapter / "train.log").write_text("what a run leaves beside its adapter")
    with at(server, url, "push", adapter, "--name", "support", columns=columns) as terminal:
        assert terminal.finish() == 0
        [line] = [line for line in terminal.lines if line]
        assert line.startswith("support@1 is ready, alias default (sha256:")


def test_a_conversation_keeps_what_was_said_and_sends_no_blank_line(server: TinyServer, url: str) -> None:
    with at(server, url, "chat", "base") as terminal:
        for typed in ("hello", "", "   ", "call", "bye"):
            terminal.wait_for(PROMPT)
            terminal.send(f"{typed}{ENTER}")
        terminal.wait_for("heard bye")
        terminal.wait_for(PROMPT)
        terminal.send("\x1b[A")  # arrow up: what was typed last
        terminal.wait_for("heard bye > bye")
        terminal.send(ENTER)
        terminal.wait_for(PROMPT)
        terminal.send(CTRL_D)
        assert terminal.finish() == 0
        assert terminal.lines[0].startswith("Talking to tiny-awq: a line is a message")
        said = [line for line in terminal.lines if "heard" in line or "lookup" in line]
        assert said == [
            "tiny-awq heard hello",
            '{"name": "lookup", "arguments": "{\\"id\\": 7}"}',
            "tiny-awq heard bye",
            "tiny-awq heard bye",
        ]


def test_a_mistake_in_a_conversation_does_not_end_it(server: TinyServer, url: str) -> None:
    with at(server, url, "chat", "suport") as terminal:
        for _ in range(2):
            terminal.wait_for(PROMPT)
            terminal.send(f"hello{ENTER}")
        terminal.wait_for(PROMPT)
        terminal.send(CTRL_C)
        assert terminal.finish() == 130
        assert terminal.flat.count("no model or adapter is named 'suport'") == 2
        assert "Traceback" not in terminal.text


def test_ctrl_c_stops_an_answer_and_not_the_conversation(tmp_path: Path, base: Base) -> None:
    server = tiny.make_server(tmp_path / "registry", base)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    with listening(server.app) as url, at(server, url, "chat", "base") as terminal:
        terminal.wait_for(PROMPT)
        terminal.send(f"wait here{ENTER}")
        terminal.wait_for("> wait here one")
        terminal.send(CTRL_C)
        terminal.wait_for("(stopped; ")
        terminal.wait_for(PROMPT)
        terminal.send(f"words 3{ENTER}")
        terminal.wait_for("word2")
        terminal.wait_for(PROMPT)
        terminal.send(CTRL_D)
        assert terminal.finish() == 0
        assert "Traceback" not in terminal.text
