"""What of a folder is read, passed over, and named as unread."""

from pathlib import Path

import pytest

from data.errors import UserError
from data.formats import scan
from data.formats.places import DESCRIPTIONS, UNREAD

GOOD = '{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize("name", ["e.JSONL", "e.Json", "e.NDJSON", "e.jsonl"])
def test_endings_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD)
    assert [record.problem for record in scan(tmp_path)] == [None]


@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_descriptions_of_data_are_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)
    (tmp_path / name).write_text('{"alpaca": {"file_name": "a.jsonl"}}')
    assert [record.problem for record in scan(tmp_path)] == [None]


@pytest.mark.parametrize("ending", UNREAD)
@pytest.mark.parametrize("source", [".", "*", "**/*.jsonl"])
def test_a_folders_other_data_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, source: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_text(GOOD)
    (tmp_path / "sub" / f"B{ending.upper()}").write_text("x")
    monkeypatch.chdir(tmp_path)
    found = list(scan(source))
    if source == "**/*.jsonl":  # files by their names: nothing else was asked for
        assert [record.problem for record in found] == [None]
        return
    good, bad = found
    assert good.problem is None and bad.where == f"sub/B{ending.upper()}"
    assert bad.problem is not None and "are not read; convert it to JSONL" in bad.problem


def test_papers_beside_the_data_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)
    for name in (
        "README.md",
        "README.txt",
        "LICENSE.txt",
        "requirements.txt",
        "make.py",
        "card.yaml",
        "a.png",
    ):
        (tmp_path / name).write_text("x")
    assert [record.problem for record in scan(tmp_path)] == [None]


def test_a_folder_of_nothing_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(UserError, match="holds no file that ends in"):
        list(scan(tmp_path))
