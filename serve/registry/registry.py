"""The registry of one server: names to versions, and the only way in."""

import logging
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import digest
from data.errors import UserError
from data.manifest import BaseManifest, adapter_digest
from serve.failpoints import reach
from serve.registry.aliases import Expected, aim_of
from serve.registry.folders import ENGINE, whole
from serve.registry.index import NewVersion
from serve.registry.keys import Key
from serve.registry.names import Names
from serve.registry.nearest import unknown
from serve.registry.provenance import provenance
from serve.registry.records import (
    DEFAULT_ALIAS,
    Adapter,
    Aim,
    DamagedBlob,
    MissingBlob,
    Move,
    NotServable,
    Reference,
    Removed,
    StorageFull,
    Version,
    checked_name,
    is_name,
)
from serve.registry.rollout import Route
from serve.registry.servable import ServerBase
from serve.registry.storage import Storage
from serve.registry.tables import VersionRow
from serve.registry.validate import Checked

log = logging.getLogger(__name__)


class Registry:
    """Versions, aliases and uploads in a storage, for a server of one base. Thread-safe, every call short.

    A registry outlives its servers: it may hold versions for other bases, which are listed but not resolved.
    """

    def __init__(self, storage: Storage, base: BaseManifest, max_lora_rank: int) -> None:
        self.storage = storage
        self.staging = storage.staging
        self._index, self._aliases = storage.index, storage.aliases
        self._server = ServerBase(base, max_lora_rank)
        self._blobs, self._folders = storage.blobs, storage.folders
        self._names = Names(storage.database)

    def close(self) -> None:
        self.storage.close()

    def find(self, reference: str) -> Version:
        """The version that a name means now, but for its canary, for whatever server; UnknownAdapter."""
        return self.route(reference).version

    def route(self, reference: str) -> Route:
        """The versions that a name means now; UnknownAdapter."""
        return self._names.get(reference, lambda: self._find(reference))

    def resolve(self, reference: str, sticky: str | None = None) -> Version:
        """The version that a name means now, for a request of `sticky` (see `Route.pick`); UnknownAdapter,
        or NotServable on this server."""
        version = self.route(reference).pick(sticky)
        self._server.require(version)
        return version

    def make_ready(self, version: Version) -> None:
        """Have the version's folder here and whole; NotServable where its bytes are not to be had,
        StorageBusy or StorageFull where they are not to be had now.

        It brings the files into the page cache, because the engine reads them inside its step, where every
        stream waits.
        """
        try:
            folder = self._folders.materialise(version.digest, version.files)
            if not whole(folder, version.files):
                self._folders.discard(folder)
                self._folders.materialise(version.digest, version.files)
        except (MissingBlob, DamagedBlob) as error:
            raise NotServable(f"adapter {version.reference} cannot be served: {error}") from None
        except OSError as error:
            raise StorageFull.of(error) or error from error

    def key(self, secret: str) -> Key | None:
        """The API key with this secret, lapsed or not."""
        return self._names.get(
            ("key", digest.of_bytes(secret.encode())), lambda: self.storage.keys.find(secret)
        )

    def revoke_key(self, name: str) -> None:
        """Have a key open nothing any more; UnknownKey."""
        self.storage.keys.revoke(name)
        self._names.forget()

    def served(self) -> list[Route]:
        """Every alias (`support:canary`) with the versions that it means now, if servable here.

        The alias `default` goes by the adapter's bare name. The versions have neither files nor provenance.
        """
        return self._names.get("served", self._served)

    def pinned(self) -> list[Version]:
        """The versions that stay loaded, if servable here."""
        return self._names.get("pinned", self._pinned)

    def _pinned(self) -> list[Version]:
        names = {row.adapter for row in self._index.pins()}
        versions = self._versions(*names) if names else []
        return [
            one for one in versions if one.pinned and not one.removed and self._server.why_not(one) is None
        ]

    def _served(self) -> list[Route]:
        canaries = {(row.adapter, row.alias): row for row in self._index.pointed_at(canaries=True)}
        routes = []
        for row in self._index.pointed_at():
            name = row.adapter if row.alias == DEFAULT_ALIAS else f"{row.adapter}:{row.alias}"
            route = Route(name, self._brief(row))
            if split := canaries.get((row.adapter, row.alias)):
                route = replace(route, canary=self._brief(split), weight=split.weight)
            if self._server.why_not(route.version) is None:
                routes.append(route)
        return routes

    def _brief(self, row: Any) -> Version:
        return Version(
            name=row.adapter,
            number=row.number,
            digest=row.digest,
            rank=row.rank,
            base_fingerprint=row.base_fingerprint,
            folder=self._folders.path(row.digest),
            created=row.created,
        )

    def adapters(
        self, after: str = "", limit: int = 1000, only: Collection[str] | None = None
    ) -> list[Adapter]:
        """The next adapters behind `after`, by name, with their versions that were not removed; of those in
        `only`."""
        names = self._index.page(after and checked_name(after), limit, only)
        if not names:
            return []
        versions: dict[str, list[Version]] = defaultdict(list)
        for version in self._versions(*names):
            if version.removed is None:
                versions[version.name].append(version)
        aims = self._aims(*names)
        return [Adapter(name, tuple(versions[name]), aims[name]) for name in names]

    def show(self, name: str) -> Adapter:
        """One adapter with all of its versions, removed ones too; UnknownAdapter."""
        versions = self._versions(name) if is_name(name) else []
        if not versions:
            raise unknown(name, self._index.names())
        return Adapter(name, tuple(versions), self._aims(name)[name])

    def _aims(self, *names: str) -> dict[str, dict[str, Aim]]:
        """Where the aliases of each adapter point."""
        aims: dict[str, dict[str, Aim]] = defaultdict(dict)
        for row in self._aliases.all(*names):
            aims[row.adapter][row.alias] = Aim(row.number, row.canary, row.weight)
        return aims

    def alias(self, name: str, alias: str) -> Aim | None:
        """Where an alias points now, None for nowhere; UnknownAdapter."""
        return self._aliases.at(checked_name(name), checked_name(alias, "alias"))

    def history(self, name: str) -> list[Move]:
        """Every move of the adapter's aliases, oldest first."""
        return [
            Move(row.sequence, row.alias, row.previous, aim_of(row), row.time, row.by)
            for row in self._aliases.history(name)
        ]

    def add(self, name: str, adapter: Checked, by: str | None = None) -> Version:
        """Keep a checked adapter as the next version of `name`; the same files again are the same version.

        Blobs are durable before the index knows of them: a crash leaves at most bytes that nobody names.
        """
        checked_name(name)
        files = dict(adapter.digests)
        config = adapter.folder.parent / "adapter_config.rewritten"
        config.write_bytes(adapter.config)
        files[f"{ENGINE}adapter_config.json"] = digest.of_bytes(adapter.config)
        self._put(files, adapter.folder, config)
        reach("registry.blobs")
        new = NewVersion(
            digest=adapter_digest(adapter.digests),
            rank=adapter.rank,
            base_fingerprint=adapter.base_fingerprint,
            files=files,
            size=sum((adapter.folder / file).stat().st_size for file in adapter.digests),
            pushed_by=by,
            provenance=provenance(adapter),
        )
        self._folders.materialise(new.digest, files)
        reach("registry.folder")
        row = self._index.add(name, new, lambda: self._put(files, adapter.folder, config, absent=True))
        reach("registry.added")
        self._names.forget()
        return self._version(row)

    def _put(self, files: dict[str, str], folder: Path, config: Path, absent: bool = False) -> None:
        """Have all blobs in the store, as if written now; or, which is quick, those that are `absent`."""
        for name, blob in files.items():
            if not (absent and self._blobs.has(blob)):
                self._blobs.put(blob, config if name.startswith(ENGINE) else folder / name)

    def set_alias(
        self, name: str, alias: str, version: int | None, expected: Expected = "any", by: str | None = None
    ) -> None:
        """Point one alias to a version (None: remove it); AliasMoved when it is not where it was expected."""
        self.set_aliases(name, [alias], version, expected, by)

    def set_aliases(
        self,
        name: str,
        aliases: list[str],
        version: int | None,
        expected: Expected = "any",
        by: str | None = None,
    ) -> None:
        """Point several aliases to a version, in one transaction."""
        checked = [checked_name(alias, "alias") for alias in aliases]
        self._aliases.move(checked_name(name), checked, version, expected, by)
        reach("registry.moved")
        self._names.forget()

    def split(
        self,
        name: str,
        alias: str,
        canary: int,
        weight: int,
        expected: Expected = "any",
        by: str | None = None,
    ) -> Aim:
        """Have an alias send `weight` percent of its requests to a canary; where it points then."""
        aim = self._aliases.split(
            checked_name(name), checked_name(alias, "alias"), canary, weight, expected, by
        )
        reach("registry.split")
        self._names.forget()
        return aim

    def roll_back(self, name: str, alias: str, by: str | None = None) -> tuple[Aim, Aim]:
        """Point an alias to where it was before its last move; from where to where."""
        moved = self._aliases.roll_back(checked_name(name), checked_name(alias, "alias"), by)
        reach("registry.rolled_back")
        self._names.forget()
        return moved

    def remove(self, name: str, number: int, by: str | None = None) -> None:
        """Bury a version; InUse while an alias or a pin holds it. Its bytes go with `collect`."""
        self._index.remove(checked_name(name), number, by)
        reach("registry.removed")
        self._names.forget()

    def pin(self, name: str, number: int, on: bool, by: str | None = None) -> None:
        """Keep a version loaded and from being removed, or no longer."""
        if on:
            self._index.pin(checked_name(name), number, by)
        else:
            self._index.unpin(checked_name(name), number)
        reach("registry.pinned")
        self._names.forget()

    def look(self) -> None:
        """See what other servers of this registry changed."""
        self._names.look()

    def _versions(self, *names: str) -> list[Version]:
        removed = {
            (row.adapter, row.number): Removed(row.time, row.by) for row in self._index.tombstones(*names)
        }
        pinned = {(row.adapter, row.number) for row in self._index.pins(*names)}
        return [
            self._version(row, removed.get((row.adapter, row.number)), (row.adapter, row.number) in pinned)
            for row in self._index.versions(*names)
        ]

    def _version(self, row: VersionRow, removed: Removed | None = None, pinned: bool = False) -> Version:
        return replace(
            self._brief(row),
            files=row.files,
            size=row.size,
            pushed_by=row.pushed_by,
            provenance=row.provenance,
            removed=removed,
            pinned=pinned,
        )

    def _find(self, reference: str) -> Route:
        try:
            parsed = Reference.parse(reference)
        except UserError:
            raise unknown(reference, self._known_models()) from None
        alias = parsed.alias or DEFAULT_ALIAS
        if parsed.number:
            row = self._index.by_number(parsed.name, parsed.number)
        elif parsed.digest:
            row = self._index.by_digest(parsed.name, parsed.digest)
        elif pointed := self._index.by_alias(parsed.name, alias):
            canary = self._version(pointed.canary) if pointed.canary else None
            version = self._version(pointed.version)
            return Route(f"{parsed.name}:{alias}", version, canary, pointed.weight or 0)
        else:
            row = None
        if row is None:
            raise unknown(reference, self._names_near(parsed.name))
        return Route(reference, self._version(row))

    def _names_near(self, name: str) -> list[str]:
        """What the caller may have meant: this adapter's aliases and versions, or the other adapters."""
        versions = [version for version in self._versions(name) if version.removed is None]
        if not versions:
            return self._known_models()
        return [f"{name}:{alias.alias}" for alias in self._aliases.all(name)] + [
            version.reference for version in reversed(versions)
        ]

    def _known_models(self) -> list[str]:
        return [*self._index.names(), self._server.base.name]
