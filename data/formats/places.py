"""What a source's name leads to: a file, the files of a folder, the matches of a glob."""

import glob
from pathlib import Path

from data.errors import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
"""What is read of a folder, also with `.gz` after it; a file that is named itself may be called anything."""

DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""Files about the data beside it, of LLaMA-Factory and `datasets`; a folder's are passed over."""

UNREAD = (
    ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".arrow", ".feather", ".zst", ".xz", ".bz2", ".zip", ".tar",
    ".tgz", ".db", ".sqlite", ".pkl",
)  # fmt: skip
"""What may hold data in a form that is not read: a folder's are named, not passed over without a word."""

_NO_DATA = ("readme", "license", "licence", "notice", "requirements", "changelog", "copying", "authors")


def files(source: str | Path) -> list[Path]:
    """The files of a source in the order of their names, folders with all that is below them.

    UserError when there is none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        return _below(path)
    if not glob.has_magic(str(source)):
        raise UserError(
            f"{path}: there is no such file; check the path, or run `make samples` for the samples."
        )
    found = [file for match in _matches(source) for file in (_below(match) if match.is_dir() else [match])]
    if not found:
        raise UserError(f"{source}: no file matches this pattern; check it, and the folder it starts from.")
    return list(dict.fromkeys(found))


def unread(source: str | Path) -> list[Path]:
    """The files of a source's folders that may hold data, and are not read."""
    path = Path(source)
    folders = [path] if path.exists() else _matches(source)
    return [
        file
        for folder in folders
        if folder.is_dir()
        for file in _visible(folder)
        if file.name.lower().endswith(UNREAD) and not file.name.lower().startswith(_NO_DATA)
    ]


def _matches(source: str | Path) -> list[Path]:
    return [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern


def _below(folder: Path) -> list[Path]:
    found = [
        path
        for path in _visible(folder)
        if path.name.lower().removesuffix(".gz").endswith(SUFFIXES) and path.name not in DESCRIPTIONS
    ]
    if not found:
        endings = ", ".join(SUFFIXES)
        raise UserError(f"{folder}: the folder holds no file that ends in {endings}; name the files.")
    return found


def _visible(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
