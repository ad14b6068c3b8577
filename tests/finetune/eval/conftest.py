import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from tests.finetune.eval.endpoint import Fake, call, serving, words

DIGEST = "sha256:" + "a" * 64

SUITE = """\
name: little
seed: 3
max_tokens: 40
concurrency: 4
tasks:
  - {name: calls, kind: tools, data: calls.jsonl}
  - {name: plain, kind: perplexity, data: plain.jsonl}
  - {name: chat, kind: chat, prompts: [Say something.]}
"""


def clock(number: int, zone: str, category: str) -> dict[str, Any]:
    tool = {"name": "clock", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
    calls = [
        {
            "id": "123456789",
            "type": "function",
            "function": {"name": "clock", "arguments": json.dumps({"zone": zone})},
        }
    ]
    answer: dict[str, Any] = {"role": "assistant", "tool_calls": calls}
    if category == "none":
        answer = {"role": "assistant", "content": "I cannot do that."}
    return {
        "id": f"c{number}",
        "category": category,
        "tools": [{"type": "function", "function": tool}],
        "messages": [{"role": "user", "content": f"What time is it in {zone}?"}, answer],
    }


def plain(number: int, answer: str) -> dict[str, Any]:
    return {
        "id": f"p{number}",
        "category": "chat",
        "messages": [
            {"role": "user", "content": f"Tell me about {number}."},
            {"role": "assistant", "content": answer},
        ],
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def reply(adapter: str | None, text: str) -> dict[str, Any]:
    """The adapter calls the clock with the place that was asked for; the base only talks."""
    place = text.removeprefix("What time is it in ").rstrip("?")
    if adapter and place != text:
        return call("clock", json.dumps({"zone": place}))
    return words(f"{adapter or 'base'} heard: {text}")


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Retries happen, but nobody waits for them."""
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answers that other runs left on this machine must not be found."""
    home = tmp_path / "home"
    monkeypatch.setenv("ENXERTO_HOME", str(home))
    return home


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """4 tool questions (3 want a call), 2 for perplexity, 1 chat prompt; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    zones = ["Lisbon", "Quito", "Oslo", "Mars"]
    kinds = ["single", "single", "far", "none"]
    write_lines(
        tmp_path / "calls.jsonl",
        [clock(n, zone, kind) for n, (zone, kind) in enumerate(zip(zones, kinds, strict=True))],
    )
    write_lines(
        tmp_path / "plain.jsonl", [plain(1, "It is odd."), plain(2, "It is even, and the first prime.")]
    )
    path = tmp_path / "little.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving(Fake(reply=reply, adapters={"support": DIGEST})) as running:
        yield running


@pytest.fixture
def edit(suite: Path) -> Callable[[str, str], None]:
    """Replaces text in the suite's file."""

    def change(old: str, new: str) -> None:
        text = suite.read_text(encoding="utf-8")
        assert old in text
        suite.write_text(text.replace(old, new), encoding="utf-8")

    return change
