"""Which of the versions that a name means a request gets."""

import hashlib
import random
from dataclasses import dataclass

from serve.registry.records import Version


@dataclass(frozen=True)
class Route:
    """What a name means: `version`, but for `weight` percent of the requests `canary`."""

    name: str
    version: Version
    canary: Version | None = None
    weight: int = 0

    @property
    def versions(self) -> list[Version]:
        return [self.version, *([self.canary] if self.canary else [])]

    def pick(self, sticky: str | None) -> Version:
        """The version for a request of `sticky`, whoever that is: always the same, and a canary stays its
        version as the weight grows. Without it, each request for itself."""
        if self.canary is None:
            return self.version
        drawn = random.randrange(100) if sticky is None else bucket(self.name, sticky)
        return self.canary if drawn < self.weight else self.version


def bucket(name: str, sticky: str) -> int:
    """From 0 to 99. Another name puts the same keys into other buckets, so no user is everybody's canary."""
    hashed = hashlib.sha256(f"{name}\0{sticky}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(hashed[:8]) % 100
