"""Parquet files, read some rows at a time."""

from collections.abc import Iterator
from pathlib import Path

from data.errors import UserError
from data.formats.record import Raw
from data.formats.values import present

_ROWS = 256


def records(path: Path) -> Iterator[Raw]:
    """Every row; UserError when it is no Parquet."""
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
    number = 0
    with file:
        batches = file.iter_batches(batch_size=_ROWS)
        while True:
            try:
                batch = next(batches, None)
                rows = batch.to_pylist(maps_as_pydicts="strict") if batch else None
            except (pyarrow.ArrowException, OSError, KeyError) as error:
                problem = f"the file cannot be read from here on ({_one_line(error)}); download it again."
                yield Raw(f"{path} (row {number + 1})", problem=problem, ends=True)
                return
            if rows is None:
                return
            for row in rows:
                number += 1
                yield Raw(f"{path} (row {number})", present(row))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
