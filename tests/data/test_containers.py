"""Where records lie: gzip, arrays longer than the window, Parquet, folders, globs, hub data sets."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import UserError
from data.formats import array, read, scan


def record(number: int, words: str = "hello") -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": f"hi {number}"}, {"role": "assistant", "content": words}],
        "id": str(number),
    }


def lines(*numbers: int) -> str:
    return "".join(json.dumps(record(number)) + "\n" for number in numbers)


def ids(source: str | Path) -> list[str | None]:
    return [conversation.id for conversation in read(source)]


def test_gzipped_lines_and_arrays(tmp_path: Path) -> None:
    for content in (lines(1, 2), json.dumps([record(1), record(2)])):
        (tmp_path / "a.gz").write_bytes(gzip.compress(content.encode()))
        assert ids(tmp_path / "a.gz") == ["1", "2"]


def test_indented_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\n\n".join(json.dumps(record(number), indent=2) for number in (1, 2)))
    assert [one.where for one in scan(path)] == [f"{path}:1 (record 1)", f"{path}:15 (record 2)"]
    assert ids(path) == ["1", "2"]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1000])
def test_an_array_is_the_same_through_any_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(array, "_CHUNK", chunk)
    rows = [record(number, 'né \u2028 \U0001f600 "quoted" \\ ' * number) for number in range(4)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    found = list(scan(path))
    assert [one.conversation.id for one in found if one.conversation] == ["0", "1", "2", "3"]
    content = path.read_text(encoding="utf-8").split("\n")
    starts = [number for number, line in enumerate(content, 1) if line == " {"]
    assert [one.where for one in found] == [f"{path}:{line} (record {n})" for n, line in enumerate(starts, 1)]


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_a_mistake_has_the_same_place_through_any_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(array, "_CHUNK", chunk)
    text = f"[{json.dumps(record(1))},\n{json.dumps(record(2))},   {{'a': 1}}]"
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(json.JSONDecodeError) as oracle:
        json.loads(text)
    bad = list(scan(path))[-1]
    assert bad.where == f"{path}:{oracle.value.lineno}" and bad.problem is not None
    assert f"at column {oracle.value.colno})" in bad.problem


def test_a_large_array_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    row = json.dumps(record(1, "x" * 10_000))
    path.write_text("[" + ",".join([row] * 3000) + "]")
    tracemalloc.start()
    assert sum(1 for _ in scan(path)) == 3000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 3


def test_parquet_with_nested_columns_and_several_row_groups(tmp_path: Path) -> None:
    rows = [record(number) | {"score": float("nan"), "raw": b"x", "tools": None} for number in range(700)]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}]
    rows[1]["tools"] = tools
    rows[2]["tools"] = [{"type": "function", "function": {"name": "g", "parameters": {"b": 2}}}]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=300)
    refused = next(scan(path)).problem
    assert refused is not None and "`score` of the record is a key that no reader knows" in refused
    found = list(scan(path, ignore=frozenset({"score", "raw"})))
    assert [one.where for one in found][:2] == [f"{path} (row 1)", f"{path} (row 2)"]
    assert [one.taken().id for one in found] == [str(number) for number in range(700)]
    assert {one.unused for one in found} == {("raw", "score")}
    second = found[1].conversation
    assert second is not None and second.plain()["tools"] == tools  # without the nulls of g's parameters


def test_parquet_of_what_json_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{"prompt": b"a", "completion": "b"}]), path)
    (bad,) = scan(path)
    assert bad.where == f"{path} (row 1)" and bad.problem is not None
    assert "b'a', which JSON has no form for" in bad.problem


def test_parquet_of_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{"text": "a"}]), path)
    with pytest.raises(UserError, match=r"\(row 1\): .* but its keys are 'text'"):
        list(read(path))


def test_a_damaged_parquet_page(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [record(number, str(number) * 50) for number in range(2000)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000, use_dictionary=False)
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 60] = bytes(60)
    path.write_bytes(content)
    *good, bad = scan(path)
    assert (
        bad.conversation is None and bad.problem is not None and "cannot be read from here on" in bad.problem
    )
    assert len(good) >= 500 and all(one.conversation for one in good)


def test_folders_and_globs_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b" / "b.jsonl").write_text(lines(3))
    (tmp_path / "a.jsonl").write_text(lines(1))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps([record(4)]).encode()))
    (tmp_path / "a2.ndjson").write_text(lines(2))
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / ".hidden" / "x.jsonl").write_text(lines(9))
    assert ids(tmp_path) == ["1", "2", "3", "4"]
    assert ids(str(tmp_path)) == ["1", "2", "3", "4"]
    assert ids(str(tmp_path / "a*")) == ["1", "2"]
    assert ids(str(tmp_path / "**" / "*.jsonl")) == ["1", "3"]
    assert ids(str(tmp_path / "*" / "*")) == ["3"]


def test_a_name_with_glob_characters_is_a_name_where_it_exists(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text(lines(1))
    assert ids(tmp_path / "a[1].jsonl") == ["1"]


def test_one_damaged_file_does_not_stop_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f"[{json.dumps(record(1))},")
    (tmp_path / "b.jsonl").write_text(lines(2))
    found = list(scan(tmp_path))
    assert [bool(one.conversation) for one in found] == [True, False, True]


def test_hub_data_sets_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text(lines(1, 2))
    (folder / "test.jsonl").write_text(lines(3))
    assert [one.where for one in scan(f"hf:{folder}")] == [f"hf:{folder} (row 1)", f"hf:{folder} (row 2)"]
    assert ids(f"hf:{folder}:test") == ["3"]
    with pytest.raises(UserError, match="the data set cannot be opened"):
        ids(f"hf:{folder}:validation")
