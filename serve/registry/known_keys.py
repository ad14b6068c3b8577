"""API keys from memory, and what a secret that nobody has may cost: neither a query nor a thread for each."""

import threading
import time
from typing import Final, Literal

from serve.registry import names
from serve.registry.keys import Key, Keys, hashed, is_secret

STRANGERS = 32
"""Secrets that nobody had, within `names.LOOK_AGAIN`, for which the index is asked: a key that was made a
moment ago is among them, until somebody tries thousands."""

Stranger = Literal["stranger"]
STRANGER: Final = "stranger"
"""There is no key with this secret."""


class KnownKeys:
    """The keys of a registry by their secrets. Thread-safe.

    A key that was found is remembered as names are. One that was not is never: past `STRANGERS` of them, a
    secret is compared with the hashes of all keys, as they were a second ago at most.
    """

    def __init__(self, remembered: names.Names, keys: Keys) -> None:
        self._names, self._keys = remembered, keys
        self._lock = threading.Lock()
        self._strangers, self._since = 0, float("-inf")

    def find(self, secret: str) -> Key | None:
        """The key with this secret, lapsed or not."""
        if not is_secret(secret):
            return None
        name = hashed(secret)
        if self._too_many and name not in self._names.get(("hashes",), self._keys.hashes):
            return None
        found = self._names.get(("key", name), lambda: self._keys.find(secret))
        if found is None:
            self._count()
        return found

    def at_hand(self, secret: str) -> Key | Stranger | None:
        """The same from memory, for callers that must not wait; None where the index would be asked."""
        if not is_secret(secret):
            return STRANGER
        name = hashed(secret)
        found: Key | None = self._names.at_hand(("key", name))
        if found is None and self._too_many:
            all_of_them = self._names.at_hand(("hashes",))
            if all_of_them is not None and name not in all_of_them:
                return STRANGER
        return found

    @property
    def _too_many(self) -> bool:
        return self._strangers >= STRANGERS and time.monotonic() - self._since <= names.LOOK_AGAIN

    def _count(self) -> None:
        with self._lock:
            if time.monotonic() - self._since > names.LOOK_AGAIN:
                self._strangers, self._since = 0, time.monotonic()
            self._strangers += 1
