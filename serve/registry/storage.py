"""All that a registry is made of on disks: the index, the blobs, the engine's folders, uploads under way."""

from pathlib import Path

from serve.registry.aliases import Aliases
from serve.registry.blobs import BlobStore, LocalBlobs
from serve.registry.database import Database, sqlite_url
from serve.registry.folders import VersionFolders
from serve.registry.index import Index
from serve.registry.keys import Keys
from serve.registry.policies import Policies
from serve.registry.reports import Reports
from serve.registry.servers import Servers
from serve.registry.staging import Staging
from serve.registry.verdicts import Verdicts


class Storage:
    """The registry in `folder`; `database` and `blobs` are URLs where these are elsewhere. Thread-safe."""

    def __init__(self, folder: Path, database: str | None = None, blobs: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(database or sqlite_url(folder / "index.sqlite"))
        self.index, self.aliases = Index(self.database), Aliases(self.database)
        self.keys, self.servers = Keys(self.database), Servers(self.database)
        self.verdicts, self.reports = Verdicts(self.database), Reports(self.database)
        self.policies = Policies(self.database)
        self.blobs = _blobs(blobs, folder)
        self.folders = VersionFolders(folder / "versions", self.blobs)
        self.staging = Staging(folder / "staging", self.blobs)

    def close(self) -> None:
        self.database.close()


def _blobs(url: str | None, folder: Path) -> BlobStore:
    """The blob store at `url` (a folder or s3://), else in the registry's own folder."""
    if url and "://" in url:
        from serve.registry.remote_blobs import RemoteBlobs

        return RemoteBlobs(url)
    return LocalBlobs(Path(url) if url else folder / "blobs")
