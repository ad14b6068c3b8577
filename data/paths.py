"""Paths that people write into files: where they lead to, whichever folder a command runs in."""

import glob
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from data.errors import UserError

_ROOTS = (".git", "pyproject.toml")
"""What a project's own folder holds."""


def located(path: str, beside: Path | None) -> str:
    """Where `path` lies: as it is from the working folder, else from the folders of the file that names it.

    `beside` is that file's folder. The folders above it count too, up to the project's own (or one, where
    there is no project). `~` is opened. What lies nowhere is returned as it was written.
    """
    path = str(Path(path).expanduser()) if path.startswith("~") else path
    if beside is None or Path(path).is_absolute() or _there(path):
        return path
    for folder in _above(beside):
        if _there(str(folder / path)):
            return str(folder / path)
    return path


def looked(path: str, beside: Path | None) -> str:
    """The folders in which `located` looked, for a sentence about a missing file; "" for an absolute path."""
    if Path(path).expanduser().is_absolute():
        return ""
    folders = [Path.cwd(), *(_above(beside) if beside else [])]
    return " or ".join(dict.fromkeys(str(folder) for folder in folders))


def sought(error: UserError, folders: str) -> UserError:
    """The error about a file that lies nowhere, with the folders in which it was looked for."""
    return UserError(f"{str(error).rstrip('.')} (looked in {folders}).") if folders else error


def _above(beside: Path) -> list[Path]:
    folders = [beside.resolve(), *beside.resolve().parents]
    root = next((at for at, one in enumerate(folders) if any((one / mark).exists() for mark in _ROOTS)), 1)
    return folders[: root + 1]


def _there(path: str) -> bool:
    try:
        if glob.has_magic(path) and not Path(path).exists():
            return next(glob.iglob(path, recursive=True), None) is not None  # noqa: PTH207 - also absolute
        return Path(path).exists()
    except OSError:  # a name that is too long for a file
        return False


def _home(value: Any) -> Any:
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~") else value


Made = Annotated[Path, BeforeValidator(_home)]
"""A path to what will be written: relative to the working folder."""
