"""The processes that examine: chunks in, results out in the same order, and never many in flight."""

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from data.errors import UserError
from finetune.validate.chunk import Chunk, Examined, Settings
from finetune.validate.examine import Examiner

PROCESSES = 2
"""Beside the one that reads; more would cost more memory than a laptop may have to spare."""
CHUNK = 256
"""Records of a chunk: enough to hide what sending costs, little enough for a moving progress bar."""
_AHEAD = 2 * PROCESSES + 2
_GARBAGE = 200_000
"""Objects until a search for garbage, of which there is little: Python's 700 cost a fifth of the time."""
_ALONE = 8
"""From this many chunks on, other processes are worth their start of about a second."""

Tag = TypeVar("Tag")

_examiner: Examiner


def examined(
    chunks: Iterable[tuple[Tag, Chunk]], settings: Settings
) -> Generator[tuple[Tag, Examined], None, None]:
    """Each chunk's tag with what was found in it, in the order of the chunks.

    Few chunks are examined in this process: starting others would take longer.
    """
    rest = iter(chunks)
    first = list(islice(rest, _ALONE))
    if len(first) < _ALONE:
        examiner = Examiner(settings)
        for tag, chunk in first:
            yield tag, examiner.chunk(chunk)
        return
    yield from _in_processes(chain(first, rest), settings)


def _in_processes(
    chunks: Iterable[tuple[Tag, Chunk]], settings: Settings
) -> Generator[tuple[Tag, Examined], None, None]:
    # `spawn`: a copy of this process would hold the progress bar's thread and all that was read.
    pool = ProcessPoolExecutor(
        PROCESSES, multiprocessing.get_context("spawn"), initializer=_start, initargs=(settings,)
    )
    waiting: deque[tuple[Tag, Future[Examined]]] = deque()
    usual = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        _launch(pool)
        for tag, chunk in chunks:
            waiting.append((tag, pool.submit(_examine, chunk)))
            if len(waiting) >= _AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    except BrokenProcessPool:
        raise UserError(
            "a process that examines records ended unexpectedly, most likely for want of memory; close"
            " other programs, or validate the sources one by one."
        ) from None
    finally:
        gc.set_threshold(*usual)
        pool.shutdown(cancel_futures=True)


def _launch(pool: ProcessPoolExecutor) -> None:
    """Start the processes deaf to Ctrl-C, which reaches the whole group: this process alone answers it.

    A job starts a process while none is idle, and a new one is not idle before it has imported all.
    """
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(PROCESSES):
            pool.submit(int)
    finally:
        signal.signal(signal.SIGINT, heard)


def _next(waiting: "deque[tuple[Tag, Future[Examined]]]") -> tuple[Tag, Examined]:
    tag, future = waiting.popleft()
    return tag, future.result()


def _start(settings: Settings) -> None:
    global _examiner
    # One conversation at a time: the tokenizer's own threads would only fight over the two cores.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    gc.set_threshold(_GARBAGE)
    _examiner = Examiner(settings)


def _examine(chunk: Chunk) -> Examined:
    return _examiner.chunk(chunk)
