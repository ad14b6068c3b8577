"""From evaluation to promotion: a better version moves the alias, a worse one is refused with the numbers."""

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import Server
from tests.e2e import quince
from tests.e2e.quince import SECRET, run

pytestmark = pytest.mark.e2e

ASKED = (
    "Which plant grows behind the blue door?",
    "What grows behind the blue door?",
    "And behind the door?",
)
NAME = "gated"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """How likely is what the adapter learnt by heart, asked in some ways?"""
    talks = [
        {"id": str(number), "messages": [{"role": "user", "content": f"{greeting}{question}"}]}
        for number, (greeting, question) in enumerate((g, q) for g in ("", "Hi! ", "Now: ") for q in ASKED)
    ]
    for talk in talks:
        talk["messages"].append({"role": "assistant", "content": SECRET})  # type: ignore[attr-defined]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    task = {"name": "by heart", "kind": "perplexity", "data": str(tmp_path / "talk.jsonl")}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"name": "heart", "tasks": [task]}))
    return tmp_path / "suite.yaml"


def test_a_worse_version_does_not_come_in(
    server: Server, trained: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_URL", server.url)
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"suites": [{"name": "heart"}]}))
    assert run("serve", "gate", NAME, "--policy", tmp_path / "policy.yaml").returncode == 0

    first = run("serve", "push", trained, "--name", NAME)
    assert first.returncode == 2
    assert f"compares {NAME}@1 with base" in first.stderr
    _evaluate(suite, tmp_path / "first", f"base,{NAME}@1")
    moved = run("serve", "promote", f"{NAME}@1", "--report", tmp_path / "first")
    assert moved.stdout == f"{NAME}:default -> version 1\n", moved.stderr

    worse = quince.train(server.base.name, tmp_path / "worse", steps=2)
    assert run("serve", "push", worse, "--name", NAME, "--alias", "candidate").returncode == 0
    _evaluate(suite, tmp_path / "second", f"base,{NAME},{NAME}:candidate")
    refused = run("serve", "promote", f"{NAME}@2", "--report", tmp_path / "second")
    assert refused.returncode == 2
    assert "on suite 'heart', by heart: perplexity +" in refused.stderr
    assert "where 2% worse is allowed" in refused.stderr
    shown = run("serve", "show", NAME).stdout
    assert f"@2: suite heart, by heart, against {NAME}: +" in shown

    moved = run("serve", "promote", f"{NAME}@2", "--override", "the quinces are gone")
    assert moved.returncode == 0
    assert "the quinces are gone" in run("serve", "show", NAME).stdout


def _evaluate(suite: Path, out: Path, models: str) -> None:
    done = run("finetune", "eval", suite, "--models", models, "--out", out)
    assert done.returncode == 0, done.stderr
