"""Content digests: `sha256:<hex>` over bytes, files and canonical JSON."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

PATTERN = "^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=PATTERN)]


def of_bytes(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Digest of a file, read in blocks."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def of_json(value: Any) -> str:
    """Digest of a value's canonical JSON (sorted keys, no blanks, UTF-8).

    Half a character, which a model's answer may hold, is taken as it is.
    """
    return of_bytes(canonical(value).encode("utf-8", "surrogatepass"))


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
