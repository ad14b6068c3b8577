"""`python -m serve.engine.compiler BYTES`: compile grammars as the engine will, where it can be ended.

So many bytes of its input are a tokenizer as xgrammar writes one, each line behind it a task; answers come
line by line, as they are found. Each task runs in a fork of this process, so that what it takes too much of
ends it alone, and the next one need not import anything.
"""

import gc
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

NICE = 10
"""Of the forks: whoever generates comes first."""

WALL_SECONDS = 60
"""A fork that has not used its processor time by then is stuck or starved: nothing is known of its task."""

MAX_WORDS = 300
"""Characters of an error, which keep an answer below what a pipe takes whole."""


@dataclass
class _Fork:
    task: int
    pid: int
    told: bytes = b""


def main() -> None:
    os.setpgrp()  # Ctrl-C is the server's to hear
    compile_ = _compiler(_read(int(sys.argv[1])).decode())
    gc.collect()
    gc.freeze()
    forks: dict[int, _Fork] = {}
    for tasks in _ready(forks):
        for line in tasks:
            task = json.loads(line)
            ours, theirs = os.pipe()
            pid = os.fork()
            if not pid:
                _run(task, theirs, compile_)
            os.close(theirs)
            forks[ours] = _Fork(task["id"], pid)
    for fork in forks.values():
        os.kill(fork.pid, signal.SIGKILL)


def _ready(forks: dict[int, _Fork]) -> Iterator[list[bytes]]:
    """New tasks as they come, until there will be none; forks that end meanwhile are answered for."""
    rest = b""
    while True:
        for source in select.select([0, *forks], [], [])[0]:
            if not source:
                if not (piece := os.read(0, 2**20)):
                    return
                *tasks, rest = (rest + piece).split(b"\n")
                yield tasks
            elif piece := os.read(source, 4096):
                forks[source].told += piece
            else:
                os.close(source)
                _answer(forks.pop(source))


def _answer(fork: _Fork) -> None:
    """Write how a fork ended: by an `error` of its `at`th specification, over its limits, stuck, or well."""
    _, status, used = os.wait4(fork.pid, 0)
    began, _, error = fork.told.partition(b" ")
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    unknown = ended_by == signal.SIGALRM or (not ended_by and status != 0)
    said = {
        "id": fork.task,
        "unknown": unknown,
        "at": len(began) - 1,
        "error": error.decode() or None,
        "costly": bool(ended_by),
        "seconds": used.ru_utime + used.ru_stime,
    }
    os.write(1, json.dumps(said).encode() + b"\n")


def _run(task: dict[str, Any], answer: int, compile_: Any) -> NoReturn:
    """Compile one specification after the other within the limits; the limits end the process."""
    code = 1
    try:
        os.nice(NICE)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # xgrammar warns of each keyword that it passes over
            os.dup2(nothing, stream)
        most = _address_space() + task["bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.setitimer(signal.ITIMER_PROF, task["seconds"])
        signal.alarm(WALL_SECONDS)
        for kind, spec in task["specs"]:
            os.write(answer, b".")
            try:
                compile_(kind, spec)
            except Exception as error:
                if isinstance(error, MemoryError) or "bad_alloc" in str(error):
                    os.kill(os.getpid(), signal.SIGKILL)
                words = str(error.__cause__ or error).splitlines()[0][:MAX_WORDS]
                os.write(answer, b" " + words.encode(errors="replace"))
                break
        code = 0
    finally:
        os._exit(code)


def _compiler(tokenizer: str) -> Any:
    """A function of a specification's kind and text, which compiles it as vLLM's XgrammarBackend does."""
    import xgrammar

    # Without threads, of which a fork would have none.
    compiler = xgrammar.GrammarCompiler(
        xgrammar.TokenizerInfo.deserialize_json(tokenizer), max_threads=1, cache_enabled=False
    )

    def compile_(kind: str, spec: str) -> None:
        if kind == "json":
            compiler.compile_json_schema(spec)
        else:
            compiler.compile_structural_tag(spec)

    return compile_


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _read(count: int) -> bytes:
    """So many bytes of the input and none more, which would be tasks."""
    pieces = []
    while count and (piece := os.read(0, count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


if __name__ == "__main__":
    main()
