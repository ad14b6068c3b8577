"""What names mean, from memory: right to within a second of what any server of the registry wrote."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from cachetools import LRUCache

from serve.registry.database import Database
from serve.registry.records import StorageBusy

T = TypeVar("T")

Name = tuple[str, ...]

LOOK_AGAIN = 1.0
"""Seconds after which the revision is read again: two servers agree within this, and a request's time."""

MOST = 10_000
"""Names kept of each kind; past it the one that was not asked for longest goes, and is looked up again."""

log = logging.getLogger(__name__)


class Names:
    """A memory of lookups that is dropped when the index's revision has moved. Thread-safe.

    Names are tuples that begin with a kind, and no kind takes another's room: what clients make up meets
    nothing else.

    While the database cannot be reached, what is known goes on being answered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = threading.Lock()
        self._lock = threading.Lock()
        """For the moment of a look into the memory, which notes what was asked for last."""
        self._known: dict[str, LRUCache[Name, Any]] = {}
        self._revision = -1
        self._looked = float("-inf")

    def get(self, name: Name, look_up: Callable[[], T]) -> T:
        """Return `look_up()`, or what it returned since the last change.

        What it raises is not remembered, nor that it found nothing (None).
        """
        if time.monotonic() - self._looked > LOOK_AGAIN:
            self.look()
        known = self._known  # before the lookup: what is found now must not outlive a change meanwhile
        if (remembered := self._remembered(name)) is not None:
            return cast(T, remembered)
        found = look_up()
        if found is not None:
            with self._lock:
                known.setdefault(name[0], LRUCache(MOST))[name] = found
        return found

    def at_hand(self, name: Name) -> Any | None:
        """What `get` would return without asking the database; None where it would ask."""
        fresh = time.monotonic() - self._looked <= LOOK_AGAIN
        return self._remembered(name) if fresh else None

    def look(self) -> None:
        """Read the revision, and forget everything if it moved."""
        if not self._looking.acquire(blocking=False):
            return  # somebody else is reading it
        try:
            revision = self._database.revision()
            if revision != self._revision:
                self._known, self._revision = {}, revision
        except StorageBusy as error:
            log.warning("the index cannot be asked, so names mean what they meant: %s", error)
        finally:
            self._looked = time.monotonic()
            self._looking.release()

    def forget(self) -> None:
        """Drop everything: this process has written."""
        self._known = {}

    def _remembered(self, name: Name) -> Any | None:
        with self._lock:
            kind = self._known.get(name[0])
            return kind.get(name) if kind is not None else None
