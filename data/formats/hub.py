"""`hf:` sources: data sets of the Hugging Face hub or of a local folder, streamed through `datasets`."""

import re
from collections.abc import Iterator
from pathlib import Path

from data.errors import UserError
from data.formats.record import Raw
from data.formats.values import present

_NAME = re.compile(r"hf:(?P<path>[^:@]+)(?::(?P<split>[^:@]+))?(?:@(?P<revision>[^:@]+))?")


def records(source: str) -> Iterator[Raw]:
    """Rows of `hf:owner/name[:split][@revision]` (`train` by default); UserError where there is none.

    A folder's path in the place of `owner/name` reads that folder's data set. No script of a data set is run.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        raise UserError(f"{source}: a hub data set is named hf:owner/name[:split][@revision]; mend the name.")
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{source}: reading hub data sets needs `datasets`; install enxerto[train]."
        ) from None
    path, split = match["path"], match["split"] or "train"
    if path.startswith((".", "/", "~")):
        path = str(Path(path).expanduser())
    number = 0
    try:
        rows = datasets.load_dataset(path, split=split, revision=match["revision"], streaming=True)
        for row in rows:
            number += 1
            yield Raw(f"{source} (row {number})", present(row))
    except Exception as error:  # `datasets` raises a dozen kinds, from pyarrow's to httpx's
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(".")
        if not number:
            step = "check name, split and revision, and that the hub can be reached"
            raise UserError(f"{source}: the data set cannot be opened ({problem}); {step}.") from None
        yield Raw(
            f"{source} (row {number + 1})",
            problem=f"the data set cannot be read from here on ({problem}); try again, or download it.",
            ends=True,
        )
