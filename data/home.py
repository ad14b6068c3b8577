"""Where this toolkit keeps what is large and can be made again."""

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


def key_file() -> Path:
    """The key that `serve up` makes for this machine's own user, where the registry has none yet."""
    return home() / "key"


def api_key(url: str) -> str | None:
    """What to send to the server at `url`: `$ENXERTO_API_KEY`, else to this machine its own key."""
    if given := os.environ.get("ENXERTO_API_KEY"):
        return given
    if (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1") and key_file().is_file():
        return key_file().read_text().strip()
    return None


def registry_folder() -> Path:
    """The embedded registry: `index.sqlite` and `blobs/`."""
    return home() / "registry"
