"""Where this toolkit keeps what is large and can be made again."""

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit


def home() -> Path:
    """`$ENXERTO_HOME`, or `enxerto` in the user's cache folder."""
    if chosen := os.environ.get("ENXERTO_HOME"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "enxerto"


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


def key_file_for(url: str) -> Path | None:
    """The file with this user's own key for the server at `url`; None where no server of theirs is known."""
    parts = urlsplit(url)
    if (parts.hostname or "") not in ("127.0.0.1", "localhost", "::1"):
        return None
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return next((file for file in (key_of_port(port), key_file()) if file.is_file()), None)


def api_key(url: str) -> str | None:
    """What to send to the server at `url`: `$ENXERTO_API_KEY`, else to this machine its own key."""
    if given := os.environ.get("ENXERTO_API_KEY"):
        return given
    file = key_file_for(url)
    return file.read_text().strip() if file else None


def registry_folder() -> Path:
    """The embedded registry: `index.sqlite` and `blobs/`."""
    return home() / "registry"
