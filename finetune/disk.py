"""Free disk is asked for before it is needed, not missed in the middle of a file."""

import shutil
from pathlib import Path

from rich.filesize import decimal

from data.errors import UserError

_SPARE = 64 << 20
"""Bytes besides, for logs and what else is written meanwhile."""


def need(folder: Path, size: int, what: str, other: str = "give the recipe another `output`") -> None:
    """UserError unless `size` bytes are free where `folder` lies, or will lie; `other` is the way out."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if free < size + _SPARE:
        raise UserError(
            f"{what} needs {decimal(size + _SPARE)} of disk, and {there} has {decimal(free)} free;"
            f" make room, or {other}."
        )
