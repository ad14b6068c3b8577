"""What of a folder is read, passed over, and named as unread."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import UserError
from data.formats import scan
from data.formats.places import DESCRIPTIONS, UNREAD

GOOD = '{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize(
    "name", ["e.JSONL", "e.Json", "e.NDJSON", "e.jsonl", "e.jsonlines", "e.JL", "e.jl.gz"]
)
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


@pytest.mark.parametrize("name", ["b.csv.gz", "b.TXT.GZ", "b.tar.gz"])
def test_compressed_data_in_another_form_is_named_by_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)
    (tmp_path / name).write_text("x")
    _, bad = scan(tmp_path)
    assert bad.problem is not None and f"a folder's {name[1:]} files are not read" in bad.problem


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


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone.jsonl"))


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_pipe, "neither a file nor a folder"),
        (_dangling, "this link leads to no file"),
        (_loop, "this link leads to no file"),
    ],
)
def test_what_only_looks_like_a_file(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    make(path := tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=reason):
        list(scan(path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prompt,completion\nhi,hello\n", "a table as text"),
        ("prompt\tcompletion\nhi\thello\n", "a table as text"),
        ("prompt;completion\r\nhi;hello\r\n", "a table as text"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n", "git lfs pull"),
        ("<!DOCTYPE html><html></html>", "HTML or XML"),
        ('data: {"choices": []}\n\ndata: [DONE]\n', "server-sent events"),
    ],
)
def test_files_of_another_kind_are_told_once(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    (found,) = scan(tmp_path / "a.jsonl")
    assert found.ends and found.problem is not None and reason in found.problem


@pytest.mark.parametrize("first", ["// a, b", "{'a': 1, 'b': 2}", '"a, b"', "[1, 2"])
def test_a_broken_first_line_is_no_table(tmp_path: Path, first: str) -> None:
    (tmp_path / "a.jsonl").write_text(f"{first}\n{GOOD}")
    assert "a table" not in str([found.problem for found in scan(tmp_path / "a.jsonl")])
