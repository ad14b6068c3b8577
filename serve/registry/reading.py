"""What a registry says: which version a name means, what there is, and how it came there."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from data.errors import UserError
from data.manifest import BaseManifest
from serve.registry.aliases import aim_of
from serve.registry.keys import Key
from serve.registry.known_keys import KnownKeys, Stranger
from serve.registry.names import Names
from serve.registry.nearest import unknown
from serve.registry.records import (
    DEFAULT_ALIAS,
    Adapter,
    Aim,
    Move,
    Reference,
    Removed,
    Version,
    checked_name,
    is_name,
)
from serve.registry.rollout import Route
from serve.registry.servable import ServerBase
from serve.registry.storage import Storage
from serve.registry.tables import VersionRow


class ReadRegistry:
    """The half of a `Registry` that changes nothing. Thread-safe, every call short.

    A registry outlives its servers: it may hold versions for other bases, which are listed but not resolved.
    """

    def __init__(self, storage: Storage, base: BaseManifest, max_lora_rank: int) -> None:
        self.storage = storage
        self._index, self._aliases = storage.index, storage.aliases
        self._server = ServerBase(base, max_lora_rank)
        self._folders = storage.folders
        self._names = Names(storage.database)
        self._keys = KnownKeys(self._names, storage.keys)

    def find(self, reference: str) -> Version:
        """The version that a name means now, but for its canary, for whatever server; UnknownAdapter."""
        return self.route(reference).version

    def route(self, reference: str) -> Route:
        """The versions that a name means now; UnknownAdapter."""
        return self._names.get(("route", reference), lambda: self._find(reference))

    def resolve(self, reference: str, sticky: str | None = None) -> Version:
        """The version that a name means now, for a request of `sticky` (see `Route.pick`); UnknownAdapter,
        or NotServable on this server."""
        return self._picked(self.route(reference), sticky)

    def resolve_at_hand(self, reference: str, sticky: str | None = None) -> Version | None:
        """The same from memory, for callers that must not wait; None where the index would be asked."""
        route: Route | None = self._names.at_hand(("route", reference))
        return self._picked(route, sticky) if route else None

    def _picked(self, route: Route, sticky: str | None) -> Version:
        version = route.pick(sticky)
        self._server.require(version)
        return version

    def key(self, secret: str) -> Key | None:
        """The API key with this secret, lapsed or not."""
        return self._keys.find(secret)

    def key_at_hand(self, secret: str) -> Key | Stranger | None:
        """The same from memory; None where the index would be asked."""
        return self._keys.at_hand(secret)

    def served(self) -> list[Route]:
        """Every alias (`support:canary`) with the versions that it means now, if servable here.

        The alias `default` goes by the adapter's bare name. The versions have neither files nor provenance.
        """
        return self._names.get(("served",), self._served)

    def pinned(self) -> list[Version]:
        """The versions that stay loaded, if servable here."""
        return self._names.get(("pinned",), self._pinned)

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

    def alias(self, name: str, alias: str) -> Aim | None:
        """Where an alias points now, None for nowhere; UnknownAdapter."""
        return self._aliases.at(checked_name(name), checked_name(alias, "alias"))

    def history(self, name: str) -> list[Move]:
        """Every move of the adapter's aliases, oldest first."""
        return [
            Move(
                sequence=row.sequence,
                alias=row.alias,
                previous=row.previous,
                aim=aim_of(row),
                time=row.time,
                by=row.by,
                override=row.override,
                reports=tuple(row.reports),
            )
            for row in self._aliases.history(name)
        ]

    def look(self) -> None:
        """See what other servers of this registry changed."""
        self._names.look()

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

    def _aims(self, *names: str) -> dict[str, dict[str, Aim]]:
        """Where the aliases of each adapter point."""
        aims: dict[str, dict[str, Aim]] = defaultdict(dict)
        for row in self._aliases.all(*names):
            aims[row.adapter][row.alias] = Aim(row.number, row.canary, row.weight)
        return aims

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
