"""Whether a server can run a version: one of its own base, and not too large for its slots."""

from dataclasses import dataclass

from data.manifest import BaseManifest
from serve.registry.records import NotServable, Version


@dataclass(frozen=True)
class ServerBase:
    """What a server runs: a base, with adapters of ranks up to `max_lora_rank`."""

    base: BaseManifest
    max_lora_rank: int

    def require(self, version: Version) -> None:
        """NotServable where this server cannot run the version."""
        if why := self.why_not(version):
            raise NotServable(why)

    def why_not(self, version: Version) -> str | None:
        """Why this server cannot run the version; None when it can."""
        what = f"adapter {version.name!r} version {version.number}"
        if version.base_fingerprint != self.base.fingerprint:
            return (
                f"{what} was trained on base {version.base_fingerprint[:19]}; this server runs "
                f"{self.base.name!r} ({self.base.fingerprint[:19]}). Start a server with the other base."
            )
        if version.rank > self.max_lora_rank:
            return (
                f"{what} has rank {version.rank}; this server holds ranks up to {self.max_lora_rank}. "
                f"Retrain with lora.r: {self.max_lora_rank}, or start the server with --max-lora-rank "
                f"{version.rank}."
            )
        return None
