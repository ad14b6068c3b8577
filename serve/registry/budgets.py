"""What keys with limits have used of them: reserved before an answer begins, settled when it has ended.

A limit holds for all servers of the registry together, by the minute and the day of UTC. A request is let in
while anything is left, so a limit is overshot by one request's reserve at most. A server that is killed
leaves its reserves counted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from serve.registry.database import Database
from serve.registry.keys import Key, Limits
from serve.registry.tables import BudgetRow

MINUTE, DAY = 60, 86_400


@dataclass(frozen=True)
class Limit:
    """`left` of `most`, until it `resets` in so many seconds."""

    what: str
    most: int
    left: int
    resets: float


@dataclass(frozen=True)
class Reserve:
    """Tokens counted for a request of a key, and what is left; none are where a limit was `over`."""

    key: str
    tokens: int
    minute: int
    day: int
    limits: tuple[Limit, ...]
    over: Limit | None


class Budgets:
    """The budgets in a database. Every call is a transaction, and waits for other servers' to end."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """`clock` is in seconds of Unix time."""
        self._database = database
        self._clock = clock

    def reserve(self, key: Key, tokens: int) -> Reserve:
        """Count a request and as many tokens as it may use, unless nothing is left."""
        with self._database.write(counts=False) as session:
            now = self._clock()
            minute, day = int(now // MINUTE), int(now // DAY)
            row = session.get(BudgetRow, key.name)
            if row is None:
                row = BudgetRow(key=key.name, minute=0, requests=0, minute_tokens=0, day=0, day_tokens=0)
                session.add(row)
            if row.minute < minute:
                row.minute, row.requests, row.minute_tokens = minute, 0, 0
            if row.day < day:
                row.day, row.day_tokens = day, 0
            over = next((one for one in _limits(key.limits, row, now) if one.left <= 0), None)
            if over is None:
                row.requests += 1
                row.minute_tokens += tokens
                row.day_tokens += tokens
            return Reserve(key.name, tokens, row.minute, row.day, tuple(_limits(key.limits, row, now)), over)

    def settle(self, reserve: Reserve, used: int) -> None:
        """Count what a request used in the place of what was reserved, where that still counts."""
        with self._database.write(counts=False) as session:
            row = session.get(BudgetRow, reserve.key)
            if row is None:
                return
            if row.minute == reserve.minute:
                row.minute_tokens += used - reserve.tokens
            if row.day == reserve.day:
                row.day_tokens += used - reserve.tokens


def _limits(limits: Limits, row: BudgetRow, now: float) -> list[Limit]:
    counted = (
        ("requests a minute", limits.requests_per_minute, row.requests, MINUTE),
        ("tokens a minute", limits.tokens_per_minute, row.minute_tokens, MINUTE),
        ("tokens a day", limits.tokens_per_day, row.day_tokens, DAY),
    )
    return [
        Limit(what, most, max(0, most - used), period - now % period)
        for what, most, used, period in counted
        if most is not None
    ]
