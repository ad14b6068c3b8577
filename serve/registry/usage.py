"""Tokens by key, adapter and day: counted in memory and written every few seconds, so no request waits."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import delete, select

from serve.registry.budgets import DAY
from serve.registry.database import Database
from serve.registry.tables import UsageRow

EPOCH = date(1970, 1, 1)

KEPT_DAYS = 400
"""After which what was used is forgotten."""

MOST_ROWS = 10_000
"""That are shown at once, the newest first."""


@dataclass(frozen=True)
class Used:
    """Of one day in UTC; `adapter` None is the base, or nothing that could be resolved."""

    day: date
    key: str
    adapter: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int


class Usage:
    """What keys used, in a database. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """`clock` is in seconds of Unix time."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._unwritten: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(self, key: str, adapter: str | None, prompt_tokens: int, completion_tokens: int) -> None:
        """Count a request that has ended."""
        with self._lock:
            counts = self._unwritten[int(self._clock() // DAY), key, adapter or ""]
            for at, more in enumerate((1, prompt_tokens, completion_tokens)):
                counts[at] += more

    def write(self) -> None:
        """Write what was counted since; what the database does not take is kept for the next time."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, defaultdict(lambda: [0, 0, 0])
        if not unwritten:
            return
        try:
            with self._database.write(counts=False) as session:
                oldest = int(self._clock() // DAY) - KEPT_DAYS
                session.execute(delete(UsageRow).where(UsageRow.day < oldest))
                for (day, key, adapter), (requests, prompt, completion) in unwritten.items():
                    row = session.get(UsageRow, (day, key, adapter))
                    if row is None:
                        row = UsageRow(day=day, key=key, adapter=adapter)
                        row.requests = row.prompt_tokens = row.completion_tokens = 0
                        session.add(row)
                    row.requests += requests
                    row.prompt_tokens += prompt
                    row.completion_tokens += completion
        except BaseException:
            with self._lock:
                for name, counts in unwritten.items():
                    for at, more in enumerate(counts):
                        self._unwritten[name][at] += more
            raise

    def of(self, key: str | None, days: int) -> list[Used]:
        """What one key used in the last days, or all of them; newest first, then by key and adapter."""
        today = int(self._clock() // DAY)
        query = select(UsageRow).where(UsageRow.day > today - days)
        if key is not None:
            query = query.where(UsageRow.key == key)
        query = query.order_by(UsageRow.day.desc(), UsageRow.key, UsageRow.adapter).limit(MOST_ROWS)
        with self._database.read() as session:
            return [
                Used(
                    EPOCH + timedelta(days=row.day),
                    row.key,
                    row.adapter or None,
                    row.requests,
                    row.prompt_tokens,
                    row.completion_tokens,
                )
                for row in session.scalars(query)
            ]
