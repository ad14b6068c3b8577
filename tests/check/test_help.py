"""Help starts at once and names every command; the README shows commands that exist."""

import re
import subprocess
from pathlib import Path

import pytest
import typer.main

from tests.waiting import python

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["finetune", "serve"])
def test_help_starts_in_under_a_second(program: str) -> None:
    runs = [python("-m", program, "--help", cwd=ROOT, check=True) for _ in range(3)]
    assert "Usage" in runs[0][0].stdout
    assert min(seconds for _, seconds in runs) < 1.0


def commands(program: str) -> set[str]:
    if program == "finetune":
        from finetune.cli import app
    else:
        from serve.cli import app
    group = typer.main.get_command(app)
    return set(group.commands)  # type: ignore[attr-defined]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shown(text: str) -> list[str]:
    """Command lines of a Markdown text: what stands in code, with or without a prompt."""
    blocks = re.findall(r"```(?:sh|console|bash)?\n(.*?)```", text, re.DOTALL) + re.findall(
        r"`([^`\n]+)`", text
    )
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines]


def documents() -> list[Path]:
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "recipes").rglob("*.yaml")),
    ]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents_show_commands_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = shown(text) if path.suffix == ".md" else [line.lstrip("# ") for line in text.splitlines()[:1]]
    if path.suffix == ".yaml":
        assert re.match(r"(make|finetune|serve) ", lines[0]), f"{path.name} does not open with its command"
    targets = make_targets()
    for line in lines:
        words = line.split()
        if len(words) < 2 or not re.fullmatch(r"[a-z-]+", words[1]):
            continue
        program = words[0].removeprefix(".venv/bin/")
        if program == "make":
            assert words[1] in targets, line
        elif program in ("finetune", "serve"):
            assert words[1] in commands(program), line


def test_readme_shows_the_two_commands() -> None:
    assert {"make quickstart", "make test"} <= set(shown(README))


def test_make_help_lists_every_documented_target() -> None:
    listed = subprocess.run(["make", "help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for target in make_targets():
        assert f"make {target} " in listed
