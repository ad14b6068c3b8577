"""What names mean, from memory: right to within a second of what any server of the registry wrote."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from serve.registry.database import Database
from serve.registry.records import StorageBusy

T = TypeVar("T")

Name = tuple[str, ...]

LOOK_AGAIN = 1.0
"""Seconds after which the revision is read again: two servers agree within this, and a request's time."""

MOST = 20_000
"""Names kept; past it all are forgotten, and looked up again as they are asked for."""

log = logging.getLogger(__name__)


class Names:
    """A memory of lookups that is dropped when the index's revision has moved. Thread-safe.

    Names are tuples that begin with a kind: what clients make up meets nothing else.

    While the database cannot be reached, what is known goes on being answered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[Name, Any] = {}
        self._revision = -1
        self._looked = float("-inf")

    def get(self, name: Name, look_up: Callable[[], T]) -> T:
        """`look_up()`, or what it returned since the last change. What it raises is not remembered."""
        if time.monotonic() - self._looked > LOOK_AGAIN:
            self.look()
        known = self._known
        if name in known:
            found: T = known[name]
            return found
        found = look_up()
        if len(known) >= MOST:
            self.forget()
        known[name] = found
        return found

    def at_hand(self, name: Name) -> Any | None:
        """What `get` would return without asking the database; None where it would ask."""
        fresh = time.monotonic() - self._looked <= LOOK_AGAIN
        return self._known.get(name) if fresh else None

    def look(self) -> None:
        """Read the revision, and forget everything if it moved."""
        if not self._lock.acquire(blocking=False):
            return  # somebody else is reading it
        try:
            revision = self._database.revision()
            if revision != self._revision:
                self._known, self._revision = {}, revision
        except StorageBusy as error:
            log.warning("the index cannot be asked, so names mean what they meant: %s", error)
        finally:
            self._looked = time.monotonic()
            self._lock.release()

    def forget(self) -> None:
        """Drop everything: this process has written."""
        self._known = {}
