"""The registry of one server: names to versions, and the only way in."""

import difflib
import logging
from pathlib import Path

from data.errors import UserError
from data.manifest import BaseManifest, adapter_digest
from serve.registry.index import Expected, Index, VersionRow
from serve.registry.records import (
    DEFAULT_ALIAS,
    Adapter,
    Move,
    NotServable,
    Reference,
    UnknownAdapter,
    Version,
    checked_name,
)
from serve.registry.staging import Staging
from serve.registry.store import LocalBlobs, VersionFolders
from serve.registry.validate import Checked

log = logging.getLogger(__name__)


class Registry:
    """Versions, aliases and uploads in `folder`, for a server of one base. Thread-safe, every call short.

    A registry outlives its servers: it may hold versions for other bases, which are listed but not resolved.
    """

    def __init__(self, folder: Path, base: BaseManifest, max_lora_rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._base = base
        self._max_lora_rank = max_lora_rank
        self._index = Index(folder / "index.sqlite")
        self._blobs = LocalBlobs(folder / "blobs")
        self._folders = VersionFolders(folder / "versions", self._blobs)
        self.staging = Staging(folder / "staging", self._blobs)
        # The folders can be made again from the blobs, and an engine dies of a file that is not there.
        for row in self._index.versions():
            try:
                self._folders.materialise(row.digest, row.files)
            except FileNotFoundError as error:
                log.warning("adapter %s@%d cannot be served: %s", row.adapter, row.number, error)

    def close(self) -> None:
        self._index.close()

    def resolve(self, reference: str) -> Version:
        """The version that a name means now; UnknownAdapter, or NotServable on this server."""
        version = self._version(self._find(reference))
        self._require_servable(version)
        return version

    def served(self) -> list[tuple[str, Version]]:
        """Every alias with the version that it means now, as in (`support:canary`, ...), if servable here.

        The alias `default` goes by the adapter's bare name.
        """
        versions = {(row.adapter, row.number): self._version(row) for row in self._index.versions()}
        pairs = []
        for row in self._index.aliases():
            name = row.adapter if row.alias == DEFAULT_ALIAS else f"{row.adapter}:{row.alias}"
            version = versions.get((row.adapter, row.number))
            if version and self._why_not(version) is None:
                pairs.append((name, version))
        return pairs

    def adapters(self) -> list[Adapter]:
        """Every adapter, by name."""
        versions: dict[str, list[Version]] = {}
        for row in self._index.versions():
            versions.setdefault(row.adapter, []).append(self._version(row))
        aliases: dict[str, dict[str, int]] = {}
        for alias in self._index.aliases():
            aliases.setdefault(alias.adapter, {})[alias.alias] = alias.number
        return [Adapter(name, tuple(found), aliases.get(name, {})) for name, found in versions.items()]

    def show(self, name: str) -> Adapter:
        """One adapter; UnknownAdapter."""
        rows = self._index.versions(name)
        if not rows:
            raise _unknown(name, self._index.names())
        aliases = {alias.alias: alias.number for alias in self._index.aliases(name)}
        return Adapter(name, tuple(map(self._version, rows)), aliases)

    def history(self, name: str) -> list[Move]:
        """Every move of the adapter's aliases, oldest first."""
        return [
            Move(row.sequence, row.alias, row.previous, row.number, row.time)
            for row in self._index.history(name)
        ]

    def add(self, name: str, adapter: Checked) -> Version:
        """Keep a checked adapter as the next version of `name`; the same files again are the same version.

        Blobs are durable before the index knows of them: a crash leaves at most bytes that nobody names.
        """
        checked_name(name)
        for file, blob in adapter.digests.items():
            self._blobs.put(blob, adapter.folder / file)
        digest = adapter_digest(adapter.digests)
        self._folders.materialise(digest, adapter.digests)
        return self._version(
            self._index.add(name, digest, adapter.rank, adapter.base_fingerprint, adapter.digests)
        )

    def set_alias(self, name: str, alias: str, version: int, expected: Expected = "any") -> None:
        """Point one alias to a version; AliasMoved when it is not where the caller expected it."""
        self._index.move(name, [checked_name(alias, "alias")], version, expected)

    def set_aliases(self, name: str, aliases: list[str], version: int) -> None:
        """Point several aliases to a version, in one transaction."""
        self._index.move(name, [checked_name(alias, "alias") for alias in aliases], version)

    def _version(self, row: VersionRow) -> Version:
        return Version(
            name=row.adapter,
            number=row.number,
            digest=row.digest,
            rank=row.rank,
            base_fingerprint=row.base_fingerprint,
            folder=self._folders.path(row.digest),
            created=row.created,
        )

    def _find(self, reference: str) -> VersionRow:
        try:
            parsed = Reference.parse(reference)
        except UserError:
            raise _unknown(reference, self._known_models()) from None
        if parsed.number:
            row = self._index.by_number(parsed.name, parsed.number)
        elif parsed.digest:
            row = self._index.by_digest(parsed.name, parsed.digest)
        else:
            row = self._index.by_alias(parsed.name, parsed.alias or DEFAULT_ALIAS)
        if row is None:
            raise _unknown(reference, self._names_near(parsed.name))
        return row

    def _names_near(self, name: str) -> list[str]:
        """What the caller may have meant: this adapter's aliases and versions, or the other adapters."""
        rows = self._index.versions(name)
        if not rows:
            return self._known_models()
        return [f"{name}:{alias.alias}" for alias in self._index.aliases(name)] + [
            f"{name}@{row.number}" for row in reversed(rows)
        ]

    def _known_models(self) -> list[str]:
        return [*self._index.names(), self._base.name]

    def _require_servable(self, version: Version) -> None:
        if why := self._why_not(version):
            raise NotServable(why)

    def _why_not(self, version: Version) -> str | None:
        """Why this server cannot run the version; None when it can."""
        what = f"adapter {version.name!r} version {version.number}"
        if version.base_fingerprint != self._base.fingerprint:
            return (
                f"{what} was trained on base {version.base_fingerprint[:19]}; this server runs "
                f"{self._base.name!r} ({self._base.fingerprint[:19]}). Start a server with the other base."
            )
        if version.rank > self._max_lora_rank:
            return (
                f"{what} has rank {version.rank}; this server holds ranks up to {self._max_lora_rank}. "
                f"Retrain with lora.r: {self._max_lora_rank}, or start the server with --max-lora-rank "
                f"{version.rank}."
            )
        return None


def _unknown(asked: str, known: list[str]) -> UnknownAdapter:
    near = difflib.get_close_matches(asked[:200], known, n=3, cutoff=0.5)
    hint = f"the nearest names are {', '.join(near)}" if near else "no name is near"
    return UnknownAdapter(f"no model or adapter is named {asked[:100]!r}; {hint}, and `serve ls` lists all.")
