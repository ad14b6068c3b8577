"""Help starts at once, names every command, and reads as other programs' does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.check.commands import targets
from tests.waiting import python

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["finetune", "serve"])
def test_help_costs_less_than_a_second_of_a_processor(program: str) -> None:
    """Its own time, not the clock's: what else the machine does is no part of it."""
    runs = [python("-m", program, "--help", cwd=ROOT, check=True) for _ in range(3)]
    assert "Usage" in runs[0][0].stdout
    assert min(seconds for _, seconds in runs) < 1.0


def test_readme_shows_the_two_commands() -> None:
    assert {"make quickstart", "make test"} <= {
        line.partition("  #")[0].strip() for line in README.splitlines()
    }


def test_make_help_lists_every_documented_target() -> None:
    listed = subprocess.run(["make", "help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for target in targets():
        assert f"make {target} " in listed


@pytest.mark.parametrize(
    ("line", "usage", "absent"),
    [
        ("finetune validate", "[OPTIONS] SOURCE...", "<bool>"),
        ("finetune train", "[OPTIONS] RECIPE", "<bool>"),
        ("serve chat", "[OPTIONS] MODEL [TEXT]", "<bool>"),
        ("serve rm", "[OPTIONS] NAME@NUMBER|NAME:ALIAS", "{"),
        ("serve keys ls", "[OPTIONS]", "<bool>"),
        ("serve", "[OPTIONS] COMMAND [ARGS]...", "<bool>"),
    ],
)
def test_help_shows_types_of_values_and_positionals_in_one_way(line: str, usage: str, absent: str) -> None:
    words = line.split()
    shown = subprocess.run(
        [sys.executable, "-m", *words, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert f"{line} {usage} " in " ".join(shown.split()) + " "
    assert absent not in shown
