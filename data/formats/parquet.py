"""Parquet files, read some rows at a time."""

from collections.abc import Iterator
from pathlib import Path

from data.errors import UserError
from data.formats.record import Raw, present

_ROWS = 256


def records(path: Path, columns: frozenset[str]) -> Iterator[Raw]:
    """Every row, with those of its columns that are among `columns`; UserError when it is no Parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow; install enxerto[train].") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: not a whole Parquet file ({_one_line(error)}); copy or download it again."
        ) from None
    known = [name for name in file.schema_arrow.names if name in columns]
    number = 0
    with file:
        batches = file.iter_batches(batch_size=_ROWS, columns=known or None)
        while True:
            try:
                batch = next(batches, None)
                rows = batch.to_pylist(maps_as_pydicts="strict") if batch else None
            except (pyarrow.ArrowException, OSError, KeyError) as error:
                problem = f"the file cannot be read from here on ({_one_line(error)}); download it again."
                yield Raw(f"{path} (row {number + 1})", problem=problem)
                return
            if rows is None:
                return
            for row in rows:
                number += 1
                yield of_row(f"{path} (row {number})", row)


def of_row(where: str, row: dict[str, object]) -> Raw:
    """A table's row as a record."""
    try:
        return Raw(where, present(row))
    except ValueError as error:
        return Raw(where, problem=f"{error}; mend this row, or leave its column out.")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
