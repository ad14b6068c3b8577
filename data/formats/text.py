"""Text files of records: JSON lines, a JSON array, or indented JSON objects, plain or gzipped.

Nothing is held whole: a file may be larger than memory, but one record takes at most `LIMIT` bytes.
"""

import gzip
import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from io import BufferedIOBase, BufferedReader
from pathlib import Path

from data import strict_json
from data.formats import array
from data.formats.problems import UNREADABLE, damaged, not_json, not_utf8, oversized, refused
from data.formats.record import Raw

LIMIT = 64 * 2**20
"""Bytes of one record. A conversation of 131 072 tokens takes about half a megabyte."""

_HEAD = 64 * 2**10
_OTHERS = {
    BOM_UTF16_LE: "UTF-16 text; save it as UTF-8",
    BOM_UTF16_BE: "UTF-16 text; save it as UTF-8",
    b"PK\x03\x04": "a zip archive (or a spreadsheet); unpack it, and save it as JSONL",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first, or use gzip",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it first, or use gzip",
    b"BZh": "compressed with bzip2; unpack it first, or use gzip",
    b"ARROW1": "an Arrow file; save it as Parquet or JSONL",
    b"SQLite format 3": "a SQLite database; export the conversations as JSONL",
    b"%PDF": "a PDF; convert it to JSONL first",
    b"version https://git-lfs": "Git LFS's pointer to the data, not the data; fetch it with `git lfs pull`",
    b"<": "HTML or XML, such as a page about the data; download the data itself, as JSONL",
    b"data: {": "a log of server-sent events; put the answers together, one record a line",
}

_TABLE = (
    "this is a table as text (CSV or TSV) or no data; save it as JSONL or Parquet, for instance with"
    " pandas.read_csv(...).to_json(..., orient='records', lines=True)."
)


def records(path: Path) -> Iterator[Raw]:
    """Every record of a text file."""
    with BufferedReader(path.open("rb", buffering=0), 2**20) as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield from _of(path, gzip.GzipFile(fileobj=file) if zipped else file)


def _of(path: Path, file: BufferedIOBase) -> Iterator[Raw]:
    try:
        head = file.read(_HEAD)
        file.seek(0)
    except UNREADABLE as error:
        yield Raw(f"{path}:1", problem=damaged(error), ends=True)
        return
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            yield Raw(f"{path}:1", problem=f"this is {what}.", ends=True)
            return
    start = head.removeprefix(BOM_UTF8).lstrip()
    if b"\0" in start.partition(b"\n")[0]:
        problem = "it holds NUL bytes, so it is binary or UTF-16 and no UTF-8 text; save it as UTF-8 JSONL."
        yield Raw(f"{path}:1", problem=problem, ends=True)
    elif _is_table(start):
        yield Raw(f"{path}:1", problem=_TABLE, ends=True)
    elif start.startswith(b"["):
        yield from array.members(path, file, LIMIT)
    elif start.partition(b"\n")[0].strip() == b"{":  # an indented object: no JSONL line is this short
        yield from array.objects(path, file, LIMIT)
    else:
        yield from _lines(path, file)


def _is_table(start: bytes) -> bool:
    """Whether what begins so is a table as text: columns in its first line, and no object in any."""
    lines = start.splitlines()
    if not lines or not any(sign in lines[0] for sign in (b",", b"\t", b";")):
        return False
    if any(line.lstrip().startswith((b"{", b"[")) for line in lines):
        return False
    try:
        json.loads(lines[0])
    except ValueError:
        return True
    return False


def _lines(path: Path, file: BufferedIOBase) -> Iterator[Raw]:
    number = 0
    while True:
        try:
            line = file.readline(LIMIT + 1)
            if not line:
                return
            number += 1
            if len(line) > LIMIT:
                while line and not line.endswith(b"\n"):
                    line = file.readline(2**20)
                yield Raw(f"{path}:{number}", problem=oversized(LIMIT))
                continue
        except UNREADABLE as error:
            yield Raw(f"{path}:{number + 1}", problem=damaged(error), ends=True)
            return
        if line := line.removeprefix(BOM_UTF8).rstrip(b" \t\r\n"):
            yield Raw(f"{path}:{number}", line=line)


def parsed(raw: Raw) -> Raw:
    """The record with its line read, where it has one."""
    if raw.line is None:
        return raw
    where, line = raw.where, raw.line
    try:
        return Raw(where, strict_json.loads(line.decode()))
    except UnicodeDecodeError as error:
        return Raw(where, problem=not_utf8(error, error.start))
    except json.JSONDecodeError as error:
        if b"\0" in line:
            return Raw(where, problem="it holds NUL bytes; delete this record, or write the file again.")
        return Raw(where, problem=not_json(error.msg, error.colno))
    except strict_json.RefusedError as error:
        return Raw(where, problem=refused(error))
