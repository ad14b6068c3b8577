"""Every command line that documents, recipes and messages show is taken whole by the real parsers."""

import re
from pathlib import Path

import pytest

from tests.check import commands
from tests.check.commands import ROOT

MARKDOWN = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
SOURCES = [
    path for package in ("data", "finetune", "serve", "bench") for path in (ROOT / package).rglob("*.py")
]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_documents_show_command_lines_that_parse(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for line in commands.in_blocks(text):
        _parses(line)
    for line in commands.in_sentences(text):
        _parses(line, typed=False)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipes_open_with_their_command(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    assert re.match(r"(make|finetune|serve) ", first), f"{path.name} does not open with its command"
    _parses(first)


def test_what_the_programs_tell_people_to_type_parses() -> None:
    lines = {line: path for path in sorted(SOURCES) for line in commands.of_source(path)}
    assert len(lines) > 20
    for line in lines:
        _parses(line, typed=False)


@pytest.mark.parametrize(
    "line",
    [
        "serve chta",
        "serve up --regisrty",
        "serve chat support hello more",
        "serve push runs/adapter",
        "serve up --prot 1",
        "serve keys mke shop",
        "finetune validate",
        "finetune export runs/x --to gguf --out y",
        "make trian",
        "make train recipe=x.yaml",
    ],
)
def test_a_line_that_nobody_could_type_is_seen(line: str) -> None:
    with pytest.raises(Exception):  # noqa: B017 - a parser's own, or this file's
        commands.check(line)


@pytest.mark.parametrize(
    "line", ["serve pussh", "serve up --regisrty", "serve keys mke", "finetune train x y"]
)
def test_what_is_only_spoken_of_has_to_be_there(line: str) -> None:
    with pytest.raises(Exception):  # noqa: B017 - likewise
        commands.check(line, typed=False)


def _parses(line: str, typed: bool = True) -> None:
    try:
        commands.check(line, typed)
    except Exception as error:
        raise AssertionError(f"`{line}`: {error}") from error
