"""The same records in every container that strangers bring them in, and whether they come out the same."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from bench.fuzz_data.case import Case
from bench.fuzz_data.marks import plain
from bench.fuzz_data.oracle import Fault, unaccounted
from bench.fuzz_data.outcome import Outcome, of_raw, outcome
from bench.fuzz_data.talk import Slot, written
from data.formats import raw

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], None]


def lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def lines_of_windows(path: Path, rows: Rows) -> None:
    """A byte order mark, carriage returns, an empty line at the end."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows) + "\r\n"
    path.write_bytes(text.encode("utf-8-sig"))


def array(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")


def array_of_windows(path: Path, rows: Rows) -> None:
    path.write_bytes(json.dumps(rows, indent=1).replace("\n", "\r\n").encode("utf-8-sig"))


def objects(path: Path, rows: Rows) -> None:
    path.write_text("\n".join(json.dumps(row, indent=2) for row in rows), encoding="utf-8")


def zipped(path: Path, rows: Rows) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def zipped_array(path: Path, rows: Rows) -> None:
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))


TEXTS: dict[str, tuple[str, Write]] = {
    "JSONL": ("rows.jsonl", lines),
    "JSONL with BOM and CRLF": ("windows.jsonl", lines_of_windows),
    "JSON array": ("rows.json", array),
    "JSON array with BOM and CRLF": ("windows.json", array_of_windows),
    "indented objects": ("objects.json", objects),
    "gzip of JSONL": ("rows.jsonl.gz", zipped),
    "gzip of a JSON array": ("rows.json.gz", zipped_array),
}


def texts(folder: Path, cases: Sequence[Case], records: Sequence[Any]) -> Iterator[tuple[str, int, Fault]]:
    """Containers of JSON give back the very outcome; container, record and fault where one does not."""
    rows = [plain(record) for record in records]
    expected = [outcome(row, case.reader, case.named) for row, case in zip(rows, cases, strict=True)]
    for name, (file, write) in TEXTS.items():
        write(folder / file, rows)
        found = list(raw(folder / file))
        if len(found) != len(rows):
            yield name, len(found), Fault("container", f"{name}: {len(found)} records of {len(rows)}")
        for number, (one, case, before) in enumerate(zip(found, cases, expected, strict=False)):
            if of_raw(one, case.reader, case.named) != before:
                yield name, number, Fault("container", f"{name}: another outcome than the record's own")


def table(folder: Path, cases: Sequence[Case]) -> Iterator[tuple[str, int, Fault]]:
    """A Parquet table of valid records of one format: its nulls are no one's words, and nothing else changes.

    Every struct of a column has the keys of all rows, so arguments and schemas hold nulls for each other's.
    """
    rows = [plain(case.record) for case in cases]
    for number, batch in _tables(rows):
        pyarrow.parquet.write_table(batch, folder / "rows.parquet")
        for place, one in enumerate(raw(folder / "rows.parquet")):
            case = cases[number + place]
            before = outcome(rows[number + place], case.reader, case.named)
            after = of_raw(one, case.reader, case.named)
            for fault in _differences(case, before, after):
                yield "Parquet", number + place, fault


def _differences(case: Case, before: Outcome, after: Outcome) -> Iterator[Fault]:
    if before.slots is None or after.slots is None:
        if (before.slots is None) != (after.slots is None) and after.problem is not None:
            yield Fault("container", f"Parquet: refused, and taken as JSON ({after.problem})")
        elif (before.slots is None) != (after.slots is None):
            yield Fault("container", f"Parquet: taken, and refused as JSON ({before.problem})")
        return
    if list(map(_without_nulls, after.slots)) != list(map(_without_nulls, before.slots)):
        yield Fault("container", "Parquet: it says something else than as JSON")
    elif _padding(after.slots) > _padding(before.slots):
        yield Fault("container", "Parquet: nulls of the table stand in a call or a schema")
    for path in unaccounted(case.record, after):
        yield Fault("container", f"Parquet: lost {path}")


def _tables(rows: Rows) -> Iterator[tuple[int, pyarrow.Table]]:
    """The rows as few tables as their types allow, each with the number of its first row."""
    at = 0
    while at < len(rows):
        size = len(rows) - at
        while size:
            try:
                column = pyarrow.array(rows[at : at + size])
                made = pyarrow.Table.from_struct_array(column)
                pyarrow.parquet.write_table(made, pyarrow.BufferOutputStream())
                yield at, made
                break
            except (pyarrow.ArrowException, TypeError):
                size = size // 2
        at += max(size, 1)  # what no table can hold at all is passed over


def _without_nulls(slot: Slot) -> Slot:
    said = tuple(_bare(text) for text in slot.said)
    return slot._replace(said=said)


def _bare(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return written(_pruned(value)) if isinstance(value, dict) else text


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _padding(slots: Sequence[Slot]) -> int:
    return sum(text.count(": null") for slot in slots if slot.kind in ("call", "tool") for text in slot.said)
