"""A log that strangers fill with a line for each request: it is bounded, and no line of it is lost."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve import log_file
from tests.waiting import HUNG, eventually

LINES = 4000
"""Of the server and of each process under it, some 60 bytes each."""

SERVER = """
import os, subprocess, sys, time
from serve import log_file

kept, child = int(sys.argv[1]), "child" in sys.argv
log_file.KEPT_BYTES, log_file.KEPT_FILES, log_file.LOOK_SECONDS = 20_000, kept, 0.02

def write(who):
    for number in range(LINES):
        for stream in (1, 2):
            os.write(stream, f"{who} {number} {stream} {'x' * 40}\\n".encode())
        if number % 20 == 0:
            time.sleep(0.005)

if child:
    log_file.follow()
    write(sys.argv[3])
else:
    with log_file.captured(8399):
        names = ("engine", "worker")
        children = [subprocess.Popen([sys.executable, __file__, str(kept), "child", name]) for name in names]
        write("server")
        for child in children:
            assert child.wait() == 0
        time.sleep(0.1)
    print("over", flush=True)
""".replace("LINES", str(LINES))

ALL = Counter(
    f"{who} {number} {stream}"
    for who in ("server", "engine", "worker")
    for number in range(LINES)
    for stream in (1, 2)
)
"""Each line once."""


def lines(text: str) -> Counter[str]:
    return Counter(line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("---"))


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path))
    (tmp_path / "server.py").write_text(SERVER)
    yield tmp_path / "logs"


def serve(logs: Path, kept: int) -> None:
    script = logs.parent / "server.py"
    done = subprocess.run([sys.executable, script, str(kept)], capture_output=True, text=True, timeout=HUNG)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def files(logs: Path) -> list[Path]:
    return sorted(logs.glob("serve-8399.log*"))


def test_no_line_is_lost_while_it_is_set_aside(logs: Path) -> None:
    """A process of its own for each writer, as the engine is one: a copy that is cut off would lose some."""
    serve(logs, kept=1000)
    assert len(files(logs)) > 4, "it was set aside while the server ran"
    assert lines("".join(file.read_text() for file in files(logs))) == ALL


def test_only_so_many_files_are_kept(logs: Path) -> None:
    serve(logs, kept=3)
    assert [file.name for file in files(logs)] == [
        "serve-8399.log", *(f"serve-8399.log.{number}" for number in (1, 2, 3))
    ]  # fmt: skip


def test_who_follows_it_reads_every_line_once(logs: Path) -> None:
    """Also of what was written to a file that had been set aside, and of files that came in between."""
    logs.mkdir()
    (logs / "serve-8399.log").write_text("--- before\n")
    follow = """
import sys
from serve import log_file
log_file.KEPT_FILES, log_file.LOOK_SECONDS = 1000, 0.2
for text in log_file.lines_of(8399, 1, follow=True):
    sys.stdout.write(text)
    sys.stdout.flush()
"""
    read = logs.parent / "read"
    with (
        read.open("w") as out,
        subprocess.Popen([sys.executable, "-c", follow], stdout=out, env=dict(os.environ)) as reader,
    ):
        try:
            eventually(lambda: read.read_text() == "--- before\n")
            serve(logs, kept=1000)
            eventually(lambda: sum(lines(read.read_text()).values()) >= sum(ALL.values()))
        finally:
            reader.kill()
    assert lines(read.read_text()) == ALL


def test_a_file_that_is_renamed_under_the_reader_is_read_once(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is set aside after its file was opened, and before the one behind it is."""
    logs.mkdir()
    path = logs / "serve-8399.log"
    for number, text in ((2, "one"), (1, "two"), (0, "three")):
        log_file._older(path, number).write_text(text)
    named = log_file._older

    def renaming(log: Path, number: int) -> Path:
        if number == 1 and named(log, 0).read_text() == "three":
            for each in (3, 2, 1):
                named(log, each - 1).rename(named(log, each))
            named(log, 0).write_text("four")
        return named(log, number)

    monkeypatch.setattr(log_file, "_older", renaming)
    with named(path, 2).open("rb") as oldest:
        newer = log_file._behind(path, oldest)
    assert [file.read() for file in newer] == [b"two", b"three"]
    for file in newer:
        file.close()


def test_the_last_lines_are_those_of_the_file_before_where_there_are_few(logs: Path) -> None:
    logs.mkdir()
    (logs / "serve-8399.log.1").write_text("one\ntwo\n")
    (logs / "serve-8399.log").write_text("three\n")
    assert list(log_file.lines_of(8399, 2)) == ["two\n", "three\n"]
    assert list(log_file.lines_of(8399, 1)) == ["three\n"]
    assert list(log_file.lines_of(8399, 0)) == []
