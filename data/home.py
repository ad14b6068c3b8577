"""Where this toolkit keeps what is large and can be made again."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit


def home() -> Path:
    """`$ENXERTO_HOME`, or `enxerto` in the user's cache folder."""
    if chosen := os.environ.get("ENXERTO_HOME"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "enxerto"


def own_files() -> None:
    """Have what this process makes from now on be for its user alone: weights, names and logs among it."""
    os.umask(os.umask(0o077) | 0o077)


def private(path: Path) -> None:
    """Have a file that is about to be written, or is there, be for its user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)


def base_folder(name: str) -> Path:
    """The folder of a built or resolved base."""
    return home() / "bases" / name


def key_file(registry: Path | None = None, database: str | None = None) -> Path:
    """The key that `serve up` makes for this machine's own user, where the registry has none yet.

    Each registry has a file of its own, as a key opens one of them alone: `key` in the home for the usual
    one, `key` in the folder of another, and one named by its address for an index that lies elsewhere.
    """
    if database:
        return home() / "keys" / f"database-{hashlib.sha256(database.encode()).hexdigest()[:12]}"
    if registry is None or registry.absolute() == registry_folder().absolute():
        return home() / "key"
    return registry.absolute() / "key"


def key_of_port(port: int) -> Path:
    """A link to the key file of the registry that a server on this port of this machine has."""
    return home() / "keys" / f"port-{port}"


@contextmanager
def held_port(port: int) -> Iterator[None]:
    """For as long as it lasts, a server of this user has the port: `key_file_for` can tell.

    A lock, because it ends with the process, however that ends. A port that is free again is anybody's, and
    whoever takes it next must not be sent this user's key.
    """
    place = _lock_of_port(port)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # shared, for servers of one port on several addresses
        yield


def _is_held(port: int) -> bool:
    try:
        with _lock_of_port(port).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_of_port(port: int) -> Path:
    return home() / "keys" / f"port-{port}.lock"


def key_file_for(url: str) -> Path | None:
    """The file with this user's own key for the server at `url`; None unless they run one there now."""
    parts = urlsplit(url)
    if (parts.hostname or "") not in ("127.0.0.1", "localhost", "::1"):
        return None
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    file = key_of_port(port)
    return file if file.is_file() and _is_held(port) else None


def api_key(url: str) -> str | None:
    """What to send to the server at `url`: `$ENXERTO_API_KEY`, else to this machine its own key."""
    if given := os.environ.get("ENXERTO_API_KEY"):
        return given
    file = key_file_for(url)
    return file.read_text().strip() if file else None


def registry_folder() -> Path:
    """The embedded registry: `index.sqlite` and `blobs/`."""
    return home() / "registry"
