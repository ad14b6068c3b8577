"""Where this toolkit keeps what is large and can be made again."""

import os
from pathlib import Path


def home() -> Path:
    """`$ENXERTO_HOME`, or `enxerto` in the user's cache folder."""
    if chosen := os.environ.get("ENXERTO_HOME"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "enxerto"


def base_folder(name: str) -> Path:
    """The folder of a built or resolved base."""
    return home() / "bases" / name


def registry_folder() -> Path:
    """The embedded registry: `index.sqlite` and `blobs/`."""
    return home() / "registry"
