"""The registry of one server: what it says (`reading.py`), and the only way in."""

import logging
from collections.abc import Callable
from pathlib import Path

from data import digest
from data.manifest import BaseManifest, adapter_digest
from serve.failpoints import reach
from serve.registry.aliases import Expected
from serve.registry.folders import COMPUTED, ENGINE, whole
from serve.registry.index import NewVersion
from serve.registry.keys import Key, Limits
from serve.registry.provenance import provenance
from serve.registry.reading import ReadRegistry
from serve.registry.records import (
    Aim,
    DamagedBlob,
    MissingBlob,
    NotServable,
    StorageFull,
    Version,
    checked_name,
)
from serve.registry.storage import Storage
from serve.registry.validate import Checked

log = logging.getLogger(__name__)


class Registry(ReadRegistry):
    """Versions, aliases and uploads in a storage, for a server of one base. Thread-safe, every call short."""

    def __init__(self, storage: Storage, base: BaseManifest, max_lora_rank: int) -> None:
        super().__init__(storage, base, max_lora_rank)
        self.staging = storage.staging
        self._blobs = storage.blobs

    def close(self) -> None:
        self.storage.close()

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

    def bytes_within_reach(self, key: Key) -> Callable[[str], bool]:
        """Whether a key may have the bytes of a digest: all of them, or those of its adapters' versions."""
        if key.adapters is None:
            return lambda blob: True
        versions = self._index.versions(*key.adapters) if key.adapters else []
        return {blob for one in versions for blob in one.files.values()}.__contains__

    def revoke_key(self, name: str) -> None:
        """Have a key open nothing any more; UnknownKey."""
        self.storage.keys.revoke(name)
        self._names.forget()

    def limit_key(self, name: str, limits: Limits) -> None:
        """Hold a key to these limits and no others; UnknownKey."""
        self.storage.keys.limit(name, limits)
        self._names.forget()

    def add(
        self,
        name: str,
        adapter: Checked,
        by: str | None = None,
        probes: Path | None = None,
        without: str | None = None,
    ) -> Version:
        """Keep a checked adapter as the next version of `name`; the same files again are the same version.

        `probes` are those that this server computed, where none came with the files; `without` is why it did
        not. Blobs are durable before the index knows of them: a crash leaves at most bytes that nobody names.
        """
        checked_name(name)
        config = adapter.folder.parent / "adapter_config.rewritten"
        config.write_bytes(adapter.config)
        paths = {file: adapter.folder / file for file in adapter.digests}
        paths[f"{ENGINE}adapter_config.json"] = config
        files = adapter.digests | {f"{ENGINE}adapter_config.json": digest.of_bytes(adapter.config)}
        if probes is not None:
            paths[COMPUTED], files[COMPUTED] = probes, digest.of_file(probes)
        self._put(files, paths)
        reach("registry.blobs")
        new = NewVersion(
            digest=adapter_digest(adapter.digests),
            rank=adapter.rank,
            base_fingerprint=adapter.base_fingerprint,
            files=files,
            size=sum((adapter.folder / file).stat().st_size for file in adapter.digests),
            pushed_by=by,
            provenance=provenance(adapter, without),
        )
        self._folders.materialise(new.digest, files)
        reach("registry.folder")
        row = self._index.add(name, new, lambda: self._put(files, paths, absent=True))
        reach("registry.added")
        self._names.forget()
        return self._version(row)

    def knows(self, name: str, adapter: Checked) -> bool:
        """Whether these very files are a version of `name` already, removed or not."""
        return self._index.by_digest(name, adapter_digest(adapter.digests)) is not None

    def _put(self, files: dict[str, str], paths: dict[str, Path], absent: bool = False) -> None:
        """Have all blobs in the store, as if written now; or, which is quick, those that are `absent`."""
        for name, blob in files.items():
            if not (absent and self._blobs.has(blob)):
                self._blobs.put(blob, paths[name])

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int | None,
        expected: Expected = "any",
        by: str | None = None,
        override: str | None = None,
    ) -> None:
        """Point one alias to a version (None: remove it); AliasMoved when it is not where it was expected."""
        self.set_aliases(name, [alias], version, expected, by, override)

    def set_aliases(
        self,
        name: str,
        aliases: list[str],
        version: int | None,
        expected: Expected = "any",
        by: str | None = None,
        override: str | None = None,
    ) -> None:
        """Point several aliases to a version, in one transaction; see `Aliases.move`."""
        checked = [checked_name(alias, "alias") for alias in aliases]
        self._aliases.move(checked_name(name), checked, version, expected, by, override)
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
        override: str | None = None,
    ) -> Aim:
        """Have an alias send `weight` percent of its requests to a canary; where it points then."""
        aim = self._aliases.split(
            checked_name(name), checked_name(alias, "alias"), canary, weight, expected, by, override
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
