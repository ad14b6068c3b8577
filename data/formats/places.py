"""What a source's name leads to: a file, the files of a folder, the matches of a glob."""

import glob
from pathlib import Path

from data.errors import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
"""What is read of a folder, also with `.gz` after it; a file that is named itself may be called anything."""


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
    matches = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = [file for match in matches for file in (_below(match) if match.is_dir() else [match])]
    if not found:
        raise UserError(f"{source}: no file matches this pattern; check it, and the folder it starts from.")
    return list(dict.fromkeys(found))


def _below(folder: Path) -> list[Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.removesuffix(".gz").endswith(SUFFIXES)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        endings = ", ".join(SUFFIXES)
        raise UserError(f"{folder}: the folder holds no file that ends in {endings}; name the files.")
    return found
