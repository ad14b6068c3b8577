"""`docs/data.md` says what the code does: its lists are the code's tables, and its examples are read."""

import json
import re
from pathlib import Path

import pytest

from data.formats import FORMATS, preference, record
from data.formats.marks import BAD, GOOD, LEARN, MEDIA, PARTLY, PREFERENCES, SILENT
from data.formats.places import DESCRIPTIONS, SUFFIXES
from data.formats.record import Raw

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
NAMES = {
    "record": "record",
    "message": "message",
    "part": "part of a message",
    "call": "call",
    "tool": "tool",
}


def listed(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def between(name: str) -> str:
    (found,) = re.findall(rf"<!-- {name} -->(.*?)<!-- end -->", PAGE, re.DOTALL)
    return str(found)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("learn", LEARN), ("partly", PARTLY), ("good", GOOD), ("bad", BAD), ("media", MEDIA),
        ("preferences", PREFERENCES),
    ],
)  # fmt: skip
def test_marks_are_the_codes(name: str, table: frozenset[str]) -> None:
    assert listed(between(name)) == sorted(table)


def test_keys_that_say_nothing_are_the_codes() -> None:
    items = dict(
        re.findall(r"^- in an? ([a-z ]+): (.*?)(?=^- |\Z)", between("silent"), re.DOTALL | re.MULTILINE)
    )
    assert {place: listed(items[name]) for place, name in NAMES.items()} == {
        place: sorted(keys) for place, keys in SILENT.items()
    }


def test_a_folders_files_are_the_codes() -> None:
    assert all(f"`{name}`" in PAGE for name in (*SUFFIXES, *DESCRIPTIONS))


def test_every_format_has_an_example_that_is_read() -> None:
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
    assert set(sections) == set(FORMATS)
    for name, section in sections.items():
        blocks = re.findall(r"^```json\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        assert blocks, name
        for line in "".join(blocks).splitlines():
            for format in (None, name):
                found = record(Raw("docs/data.md", json.loads(line)), format)
                assert found.problem is None and found.unused == (), (name, found.problem)


def test_every_preference_is_read() -> None:
    (block,) = re.findall(r"^```json preference\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines():
        found = preference.record(Raw("docs/data.md", json.loads(line)))
        assert found.problem is None and found.unused == (), found.problem
