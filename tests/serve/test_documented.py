"""The documented commands typed at a server, whole and in order: what they do is what is said of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import quickstart
from tests.check import commands
from tests.check.commands import ROOT
from tests.serve import tiny
from tests.serve.evaluated import report, served
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer
from tests.waiting import HUNG

README = (ROOT / "README.md").read_text(encoding="utf-8")
REGISTRY = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")

NOT_HERE = {
    "up": "starts vLLM, and tests/terminal and tests/e2e start it",
    "doctor": "looks at the machine; tests/serve/test_doctor.py runs it",
    "top": "goes on until Ctrl-C; tests/serve/test_top.py runs it",
    "logs": "wants a server's own log; tests/serve/test_launch.py runs it",
}


def lines(text: str) -> list[list[str]]:
    """The `serve` commands of a document that a client types, in order, without the program."""
    found = [line.partition("  #")[0].split() for line in commands.in_blocks(text)]
    return [line[1:] for line in found if line[0] == "serve" and line[1] not in NOT_HERE]


@pytest.fixture
def desk(tmp_path: Path, base: Base) -> Path:
    """Where a person sits: an adapter that training wrote, others, and the recipes."""
    tiny.make_adapter(tmp_path / "runs/quickstart/adapter", base, 1)
    (tiny.make_adapter(tmp_path / "outputs/checkpoint-120", base, 9) / "manifest.json").unlink()
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    return tmp_path


def typed(desk: Path, server: TinyServer, url: str, words: list[str], stdin: str = "") -> str:
    environment = os.environ | {"ENXERTO_URL": url, "ENXERTO_API_KEY": server.key, "COLUMNS": "200"}
    environment |= {"ENXERTO_HOME": str(desk / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "serve", *words],
        cwd=desk, env=environment, input=stdin, capture_output=True, text=True, timeout=HUNG,
    )  # fmt: skip
    assert done.returncode == 0, f"serve {' '.join(words)}: {done.stderr}"
    return done.stdout


def test_the_day_in_the_readme(desk: Path, base: Base, server: TinyServer) -> None:
    day = lines(README)
    assert [words[0] for words in (*day[:2], day[-1])] == ["push", "chat", "push"]
    with listening(server.app) as url:
        for words in day:
            if "support@2" in words:
                _push_two_more(desk, base, server)
            if words[0] == "promote" and "--report" in words:
                _evaluated(desk, base, server, words[words.index("--report") + 1])
            out = typed(desk, server, url, words, stdin="Where is my order?\n")
            if words[0] == "push":
                assert out.startswith(f"{words[words.index('--name') + 1]}@1 is ready, alias default")
            if words[0] == "chat":
                assert out == "support@1 heard Where is my order?\n"
    assert server.registry.resolve("support").number == 3
    assert "shop" in {key.name for key in server.registry.storage.keys.all()}


def test_what_the_quickstart_ends_with_talks_to_its_adapter(
    desk: Path, base: Base, server: TinyServer
) -> None:
    serving, talking = (line.removeprefix(".venv/bin/") for line in quickstart.NEXT)
    for line in (serving, talking):
        commands.check(line)
    server.registry.add("support", tiny.check_adapter(desk / "runs/quickstart/adapter", base))
    server.registry.set_alias("support", "default", 1)
    with listening(server.app) as url:
        assert typed(desk, server, url, talking.split()[1:], "hi\n") == "support@1 heard hi\n"


def test_the_canary_of_the_registrys_page(desk: Path, base: Base, server: TinyServer) -> None:
    _push_two_more(desk, base, server)
    server.registry.add("support", tiny.check_adapter(tiny.make_adapter(desk / "four", base, 4), base))
    server.registry.add("support", tiny.check_adapter(tiny.make_adapter(desk / "five", base, 5), base))
    server.registry.set_alias("support", "default", 1)
    moves = [words for words in lines(REGISTRY) if words[0] in ("promote", "rollback")]
    moves = [words for words in moves if not {"--report", "--override"} & set(words)]
    assert len(moves) == 4
    shares = []
    with listening(server.app) as url:
        for words in moves:
            typed(desk, server, url, words)
            aim = server.registry.alias("support", "default")
            shares.append((aim.number, aim.canary, aim.weight) if aim else None)
    assert shares == [(1, 4, 10), (1, 4, 50), (4, None, None), (1, None, None)]


def test_the_upkeep_of_the_registrys_page(desk: Path, base: Base, server: TinyServer) -> None:
    _push_two_more(desk, base, server)
    server.registry.set_alias("support", "default", 1)
    upkeep = [words for words in lines(REGISTRY) if words[0] in ("rm", "gc", "fsck", "export", "import")]
    assert [words[0] for words in upkeep] == ["rm", "gc", "gc", "fsck", "export", "import"]
    with listening(server.app) as url:
        for words in upkeep:
            here = ["--registry", str(desk / "registry")] if words[0] == "export" else []
            typed(desk, server, url, [*words, *here])
    restored = tiny.make_registry(desk / "new", base)
    assert [version.number for version in restored.show("support").versions if not version.removed] == [1]


def _push_two_more(desk: Path, base: Base, server: TinyServer) -> None:
    for seed in (2, 3):
        folder = tiny.make_adapter(desk / f"more-{seed}", base, seed)
        server.registry.add("support", tiny.check_adapter(folder, base))


def _evaluated(desk: Path, base: Base, server: TinyServer, folder: str) -> None:
    """The report that the command sends: version 3 beside what the alias means, and nothing worse."""
    one, three = (server.registry.resolve(f"support@{number}").digest for number in (1, 3))
    models = [
        served(name, of, base.manifest.fingerprint) for name, of in (("support", one), ("support@3", three))
    ]
    right = {"support": [1.0] * 20, "support@3": [1.0] * 20}
    tasks = {"known tools": right, "held-out chat": {"support": [20.0] * 20, "support@3": [20.0] * 20}}
    (desk / folder).mkdir(parents=True)
    (desk / folder / "report.json").write_text(report(models, tasks).model_dump_json())
