"""What a source's name leads to: a file, the files of a folder, the matches of a glob."""

import glob
from pathlib import Path

from data.errors import UserError

SUFFIXES = (".jsonl", ".jsonlines", ".jl", ".ndjson", ".json", ".parquet")
"""What is read of a folder, also with `.gz` after it; a file that is named itself may be called anything."""

DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""Files about the data beside it, of LLaMA-Factory and `datasets`; a folder's are passed over."""

UNREAD = (
    ".7z", ".arrow", ".avro", ".bz2", ".csv", ".db", ".duckdb", ".feather", ".lz4", ".msgpack", ".orc",
    ".pkl", ".rar", ".sqlite", ".sqlite3", ".tar", ".tgz", ".tsv", ".txt", ".xls", ".xlsx", ".xz", ".zip",
    ".zst",
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
    if path.exists():
        raise UserError(f"{path}: this is neither a file nor a folder; save what it gives to a file first.")
    if path.is_symlink():
        raise UserError(f"{path}: this link leads to no file; mend it, or name the file itself.")
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
        if _plain(file).endswith(UNREAD) and not _plain(file).startswith(_NO_DATA)
    ]


def _matches(source: str | Path) -> list[Path]:
    return [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern


def _below(folder: Path) -> list[Path]:
    found = [
        path for path in _visible(folder) if _plain(path).endswith(SUFFIXES) and path.name not in DESCRIPTIONS
    ]
    if not found:
        endings = ", ".join(SUFFIXES)
        raise UserError(
            f"{folder}: the folder holds no file that ends in {endings}; name the files, or convert them"
            " to JSONL."
        )
    return found


def _plain(path: Path) -> str:
    """The name in small letters, of a compressed file that of what is in it."""
    return path.name.lower().removesuffix(".gz")


def _visible(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
