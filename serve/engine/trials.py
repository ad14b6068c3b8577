"""Whether the engine can compile a grammar in time: tried before, in a process of its own that can be ended.

vLLM compiles in its engine's process, in one thread for everybody, and cannot stop (PR 45172 there). What has
been compiled here within the limits, the engine compiles again, in about the same time: a compiled grammar
could be handed over only by changing vLLM's own manager of them. Anything else never gets there.
"""

import asyncio
import hashlib
import json
import sys
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from cachetools import LRUCache

from serve.engine.protocol import EngineUnavailable
from serve.lifecycle.admission import Admission, Bounds

SECONDS = 2.0
"""Of processor time, for one grammar."""

MAX_BYTES = 300 * 2**20
"""Of memory, for one grammar."""

STEP_SECONDS = 0.005
"""Of processor time, to find out what may come next in an answer, on average over a walk: the engine does so
for every token, and all other answers wait."""

AT_ONCE = 5
"""Grammars under trial: they share what time there is, so that a small one need not wait for a large one. One
place is kept for keys that have nothing under trial."""

MAX_KEPT = 4096
"""Verdicts that are remembered, of a few hundred bytes at most each."""

Spec = tuple[str, str]
"""A grammar as vLLM hands it to xgrammar: its kind, `json` or `structural_tag`, and its text."""


class Verdict(NamedTuple):
    """What came of compiling several grammars in turn: nothing is wrong, or what with the `at`th one."""

    at: int
    error: str | None
    costly: bool
    slow: bool
    """It would take too long for every token."""
    seconds: float
    """Of processor time."""

    @property
    def good(self) -> bool:
        return not (self.costly or self.slow or self.error)


class NotTried(EngineUnavailable):
    """Nothing is known of the grammar."""

    def __init__(self) -> None:
        super().__init__(
            "The schemas of this request could not be tried; send it again in a moment.",
            code="schema_not_tried",
            retry_after=1,
        )


class Trials:
    """Grammars that have been tried, and the process in which they are, started again when it dies."""

    def __init__(
        self, tokenizer: str, seconds: float = SECONDS, most: int = MAX_BYTES, step: float = STEP_SECONDS
    ) -> None:
        """`tokenizer` is xgrammar's, serialized; `most` is in bytes, `step` in seconds for each token."""
        self._tokenizer = tokenizer.encode()
        self._limits = {"seconds": seconds, "bytes": most, "step": step}
        self.limits = f"{seconds:g} s of processor time or {most >> 20} MiB of memory"
        self._known: LRUCache[bytes, Verdict] = LRUCache(MAX_KEPT)
        self._places = Admission("engine", "schemas", Bounds(inflight=AT_ONCE), changed=lambda: None)
        self._places.open()
        self._running: set[asyncio.Task[Verdict]] = set()
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[Verdict]] = {}
        self.asked = 0
        """How many were tried, or began to be."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def pending(self) -> int:
        return len(self._pending)

    async def verdict(self, *specs: Spec, key: str = "") -> Verdict:
        """The verdict on several grammars together: the limits are for all of them. Who has to wait gets a
        place by turns of their keys.

        Raises:
            NotTried: the process died, or had no time.
        """
        digest = hashlib.sha256(json.dumps(specs).encode()).digest()
        if (known := self._known.get(digest)) is None:
            await self._places.enter(key, patient=True)  # a client that goes leaves nothing in the line
            task = asyncio.create_task(self._tried(specs))
            self._running.add(task)
            task.add_done_callback(partial(self._over, key))
            # A compilation that was begun keeps its place: no more of them at once than there are places.
            known = self._known[digest] = await asyncio.shield(task)
        return known

    async def start(self) -> None:
        """Start the process; it takes seconds until it answers."""
        async with self._starting:
            if self._process:
                return
            command = (sys.executable, "-m", "serve.engine.compiler", str(len(self._tokenizer)))
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            assert self._process.stdin
            self._process.stdin.write(self._tokenizer)
            self._reading = asyncio.create_task(self._read(self._process))

    async def close(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()
        if self._reading:
            await self._reading

    def _over(self, key: str, task: asyncio.Task[Verdict]) -> None:
        self._running.discard(task)
        self._places.leave(key)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone

    async def _tried(self, specs: tuple[Spec, ...]) -> Verdict:
        await self.start()
        assert self._process and self._process.stdin
        self.asked += 1
        number, answer = self.asked, asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            task = {"id": number, "specs": specs, **self._limits}
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            with suppress(ConnectionError):
                await self._process.stdin.drain()
            verdict: Verdict = await answer
            return verdict
        finally:
            del self._pending[number]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand each answer to who waits for it, until the process has ended."""
        assert process.stdout
        async for line in process.stdout:
            said = json.loads(line)
            waits = self._pending.get(said["id"])
            if waits is None or waits.done():
                continue
            if said["unknown"]:
                waits.set_exception(NotTried())
            else:
                waits.set_result(Verdict(**{name: said[name] for name in Verdict._fields}))
        await process.wait()
        self._process = None
        for waits in self._pending.values():
            if not waits.done():
                waits.set_exception(NotTried())
