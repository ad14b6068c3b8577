"""`python -m serve.engine.compiler BYTES`: compile grammars as the engine will, where it can be ended.

So many bytes of its input are a tokenizer as xgrammar writes one, each line behind it a task; answers come
line by line, as they are found. Each task runs in a fork of this process, so that what it takes too much of
ends it alone, and the next one need not import anything.
"""

import gc
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

NICE = 10
"""Of the forks: whoever generates comes first."""

WALL_SECONDS = 60
"""A fork that has not used its processor time by then is stuck or starved: nothing is known of its task."""

SLOW = 3
"""Exit code of a fork: it takes too long to find out what may come next."""

STEPS = 32
"""Tokens of a walk through a grammar."""

MAX_WORDS = 300
"""Characters of an error, which keep an answer below what a pipe takes whole."""


@dataclass
class _Fork:
    task: int
    pid: int
    seconds: float
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
            forks[ours] = _Fork(task["id"], pid, task["seconds"])
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
    """Write how a fork ended: well, by an `error` of its `at`th specification, over limits, slow, stuck."""
    _, status, used = os.wait4(fork.pid, 0)
    began, _, error = fork.told.partition(b" ")
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    slow = os.WIFEXITED(status) and os.WEXITSTATUS(status) == SLOW
    unknown = ended_by == signal.SIGALRM or not (ended_by or slow or status == 0)
    seconds = used.ru_utime + used.ru_stime
    said = {
        "id": fork.task,
        "unknown": unknown,
        "at": len(began) - 1,
        "error": error.decode() or None,
        "costly": bool(ended_by) or seconds > fork.seconds,  # the timer goes in steps
        "slow": slow,
        "seconds": seconds,
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
                step = _tried(compile_, kind, spec)
            except Exception as error:
                if isinstance(error, MemoryError) or "bad_alloc" in str(error):
                    os.kill(os.getpid(), signal.SIGKILL)
                words = str(error.__cause__ or error).splitlines()[0][:MAX_WORDS]
                os.write(answer, b" " + words.encode(errors="replace"))
                break
            if step > task["step"]:
                os._exit(SLOW)
        code = 0
    finally:
        os._exit(code)


def _compiler(tokenizer: str) -> Any:
    """A function of a specification's kind and text, which compiles it as vLLM's XgrammarBackend does."""
    import xgrammar

    # Without threads, of which a fork would have none.
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo.deserialize_json(tokenizer), max_threads=1)

    def compile_(kind: str, spec: str) -> Any:
        if kind == "json":
            return compiler.compile_json_schema(spec)
        return compiler.compile_structural_tag(spec)

    return compile_


def _tried(compile_: Any, kind: str, spec: str) -> float:
    """Compile a specification; return the most seconds that a token of it takes.

    Each of its patterns is walked through alone, since a walk through all of it might come by none. What is
    no automaton, a walk through it might miss as well: xgrammar may search for seconds there, and writes
    what is no JSON.
    """
    compiled = compile_(kind, spec)
    seconds = [step_seconds(compiled)] if kind == "json" else []
    for pattern in sorted(_patterns(json.loads(spec))):
        alone = json.dumps({"type": "string", "pattern": pattern})
        if not _is_automaton(alone):
            raise ValueError(f"pattern {pattern} asks for characters that JSON escapes")
        seconds.append(step_seconds(compile_("json", alone), '"'))
    return max(seconds, default=0)


def _is_automaton(spec: str) -> bool:
    import xgrammar

    return "Regex(" in str(xgrammar.Grammar.from_json_schema(spec))


def step_seconds(compiled: Any, begun: str = "") -> float:
    """Seconds of processor time that it takes to find out which tokens may come next, on average over a walk
    at random through a grammar, once `begun` was said."""
    import xgrammar

    matcher = xgrammar.GrammarMatcher(compiled)
    matcher.accept_string(begun)
    mask = xgrammar.allocate_token_bitmask(1, compiled.tokenizer_info.vocab_size)
    words, chance = mask[0].numpy(), random.Random(0)
    seconds: list[float] = []
    # A thread's clock goes on in small steps where an interval timer is set, unlike the process's.
    while len(seconds) < STEPS and not matcher.is_terminated():
        began = time.thread_time()
        matcher.fill_next_token_bitmask(mask)
        seconds.append(time.thread_time() - began)
        allowed = words.nonzero()[0]
        if not len(allowed):
            break
        word = int(chance.choice(allowed))
        bits = [bit for bit in range(32) if int(words[word]) >> bit & 1]
        if not matcher.accept_token(32 * word + chance.choice(bits)):
            break
    return sum(seconds) / max(len(seconds), 1)


def _patterns(node: Any) -> set[str]:
    """All that may be patterns in a specification."""
    if isinstance(node, list):
        return {pattern for one in node for pattern in _patterns(one)}
    if not isinstance(node, dict):
        return set()
    named = node.get("patternProperties")
    found = {*named} if isinstance(named, dict) else set()
    if isinstance(pattern := node.get("pattern"), str):
        found.add(pattern)
    return found.union(*(_patterns(value) for value in node.values()))


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
