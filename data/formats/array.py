"""JSON arrays (and indented objects in a row) of any length, decoded through a window that slides."""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from data import strict_json
from data.formats import problems
from data.formats.record import Raw

_CHUNK = 2**20
_BLANK = re.compile(r"[ \t\r\n]*")
_STOPPED = " The rest of this file was not read."
_MEND = f"mend the file.{_STOPPED}"


def members(path: Path, file: BufferedIOBase, limit: int) -> Iterator[Raw]:
    """The members of the array that `file` holds. What breaks its syntax ends it, since no later place is
    certain to start a member."""
    window = _Window(file, limit)
    try:
        window.next()
        window.at += 1
        number = 0
        before = ""
        while (mark := window.next()) != "]" or before == ",":
            if mark == "]":
                raise window.broken("Illegal trailing comma")
            number += 1
            yield window.record(path, f" (record {number})")
            if (before := window.next()) == ",":
                window.at += 1
            elif before != "]":
                raise window.broken("Expecting ',' or ']'")
        window.at += 1
        if window.next():
            raise window.broken("Extra data")
    except _EndedError as ended:
        yield Raw(f"{path}:{ended.line}", problem=ended.problem, ends=True)


def objects(path: Path, file: BufferedIOBase, limit: int) -> Iterator[Raw]:
    """JSON values one after another, each over as many lines as it likes."""
    window = _Window(file, limit)
    number = 0
    try:
        while window.next():
            number += 1
            yield window.record(path, f" (record {number})")
        if window.failure:
            raise _EndedError(window.line, window.failure)
    except _EndedError as ended:
        yield Raw(f"{path}:{ended.line}", problem=ended.problem, ends=True)


class _EndedError(Exception):
    """Nothing after this line can be read."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem


class _Window:
    """The stretch of text that is being decoded; `at` is the place in it where the next thing starts.

    A byte that cannot be decoded or read ends the text there, and `failure` then says why.
    """

    def __init__(self, file: BufferedIOBase, limit: int) -> None:
        self._file, self._limit = file, limit
        self._decoder = getincrementaldecoder("utf-8-sig")()
        self._bytes = 0
        self._ended = False
        self._line, self._column = 1, 0  # of the window's first character; the column counts from 0
        self._ends, self._counted = 0, 0  # line ends in the window's first `_counted` characters
        self.text, self.at = "", 0
        self.failure: str | None = None

    @property
    def line(self) -> int:
        self._ends += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line + self._ends

    def next(self) -> str:
        """Pass over blanks; the character at `at`, or nothing at the end."""
        while True:
            match = _BLANK.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self._ended:
                return self.text[self.at : self.at + 1]
            self._more(_CHUNK)

    def record(self, path: Path, name: str) -> Raw:
        """The value at `at`, which is then passed."""
        size = _CHUNK
        while True:
            try:
                value, end, refusal = _decoded(self.text, self.at)
                if end < len(self.text) or self._ended:  # a number might go on in what is not yet read
                    where = f"{path}:{self.line}{name}"
                    self.at = end
                    return Raw(where, value, refusal)
            except json.JSONDecodeError as error:
                if self._ended or not _cut_short(error, len(self.text)):
                    raise self.broken(error.msg, error.pos) from None
            except strict_json.RefusedError as refused:
                raise _EndedError(self.line, problems.refused(refused, _MEND)) from None
            if len(self.text) - self.at > self._limit:
                raise _EndedError(self.line, problems.oversized(self._limit) + _STOPPED)
            self._more(size)
            size *= 2  # so that a long record is tried a few times, not once for each chunk

    def broken(self, reason: str, position: int | None = None) -> _EndedError:
        """The error for a syntax mistake at `position`, or for what cut the text off before it."""
        if self.failure:
            return _EndedError(self._place(len(self.text))[0], self.failure)
        line, column = self._place(self.at if position is None else position)
        return _EndedError(line, problems.not_json(reason, column + 1, _MEND))

    def _place(self, position: int) -> tuple[int, int]:
        """Line, from 1, and column, from 0, of a place in the window."""
        start = self.text.rfind("\n", 0, position) + 1
        column = position - start if start else self._column + position
        return self._line + self.text.count("\n", 0, position), column

    def _more(self, size: int) -> None:
        self._line, self._column = self._place(self.at)
        kept, self.at = self.text[self.at :], 0
        self._ends = self._counted = 0
        try:
            raw = self._file.read1(size)  # unlike read, it keeps what came before damage
        except problems.UNREADABLE as error:
            raw, self.failure = b"", problems.damaged(error)
        self._ended = not raw
        try:
            self.text = kept + self._decoder.decode(raw, final=self._ended and not self.failure)
        except UnicodeDecodeError as error:
            # The decoder may have kept some bytes of the chunk before: they stand at the front of `object`.
            started = self._bytes + len(raw) - len(error.object)
            self.failure, self._ended = problems.not_utf8(error, started + error.start), True
            self.text = kept + error.object[: error.start].decode("utf-8-sig")
        self._bytes += len(raw)


def _decoded(source: str, position: int) -> tuple[Any, int, str | None]:
    """Value, end, and the problem with it, if its end at least can be told."""
    try:
        return *strict_json.raw_decode(source, position), None
    except strict_json.RefusedError as refused:
        try:
            return None, strict_json.end_of(source, position), problems.refused(refused)
        except RecursionError:
            raise refused from None


def _cut_short(error: json.JSONDecodeError, length: int) -> bool:
    """Whether more text might mend it: a string that never ended, or a mistake at the very end."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - len("-Infinity")
