"""A process that spends a key's budget: one reserve first, then, once all have theirs, all that is left."""

import os
import signal
from typing import Any

from serve.registry.budgets import Budgets
from serve.registry.database import Database
from serve.registry.keys import Key

RESERVE = 10
"""Tokens of each; an answer has at most as many."""


def spend(url: str, key: Key, now: float, together: Any, answered: Any, killed: bool) -> None:
    """Where it is to be `killed`, that is before its first answer."""
    budgets, used = Budgets(Database(url), lambda: now), 1 + os.getpid() % RESERVE
    reserve = budgets.reserve(key, RESERVE)
    together.wait()
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    while reserve.over is None:
        with answered.get_lock():
            answered.value += used
        budgets.settle(reserve, used)
        reserve = budgets.reserve(key, RESERVE)
