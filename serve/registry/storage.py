"""All that a registry is made of on disks: the index, the blobs, the engine's folders, uploads under way."""

from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy.exc import DBAPIError

from data.errors import UserError
from serve.registry.aliases import Aliases
from serve.registry.blobs import BlobStore, LocalBlobs
from serve.registry.budgets import Budgets
from serve.registry.database import Database, sqlite_url
from serve.registry.folders import VersionFolders
from serve.registry.index import Index
from serve.registry.keys import Keys
from serve.registry.policies import Policies
from serve.registry.reports import Reports
from serve.registry.servers import Servers
from serve.registry.staging import Staging
from serve.registry.usage import Usage
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
        self.budgets, self.usage = Budgets(self.database), Usage(self.database)
        self.blobs = _blobs(blobs, folder)
        self.folders = VersionFolders(folder / "versions", self.blobs)
        self.staging = Staging(folder / "staging", self.blobs)

    def close(self) -> None:
        self.database.close()


def open_storage(folder: Path, database: str | None = None, blobs: str | None = None) -> Storage:
    """The registry at these places. UserError, before anything heavy, where one of them cannot be used."""
    try:
        if blobs is None or "://" not in blobs:
            place = Path(blobs) if blobs else folder / "blobs"
            place.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=place):  # a folder that is there may still take no file
                pass
        return Storage(folder, database, blobs)
    except OSError as error:
        named = error.filename or folder
        raise UserError(
            f"{named} cannot be used for a registry ({error.strerror}); give a folder that can be written, "
            f"with {'--blobs' if blobs and str(named).startswith(blobs) else '--registry'}."
        ) from None
    except DBAPIError as error:
        raise UserError(
            f"the index of the registry in {folder} cannot be opened ({error.orig}); give another with "
            "--registry or --database, or look with `serve doctor`."
        ) from None


def _blobs(url: str | None, folder: Path) -> BlobStore:
    """The blob store at `url` (a folder or s3://), else in the registry's own folder."""
    if url and "://" in url:
        from serve.registry.remote_blobs import RemoteBlobs

        return RemoteBlobs(url)
    return LocalBlobs(Path(url) if url else folder / "blobs")
