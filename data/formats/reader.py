"""Sources to conversations, one at a time, whatever holds them."""

from collections.abc import Iterator
from pathlib import Path

from data.chat import Conversation
from data.errors import UserError
from data.formats import hub, parquet, text
from data.formats.importing import imported
from data.formats.keys import NONE
from data.formats.places import files, unread
from data.formats.record import Raw, Record
from data.formats.shapes import reader_of, sniff

_CONVERT = "convert it to JSONL, take it away, or name the files to read, such as `folder/*.jsonl`"


def read(source: str | Path, format: str | None = None) -> Iterator[Conversation]:
    """Every conversation of `source`; UserError with place, reason and next step at the first bad record."""
    for record in scan(source, format):
        yield record.taken()


def scan(source: str | Path, format: str | None = None, *, ignore: frozenset[str] = NONE) -> Iterator[Record]:
    """Every record of `source`, bad ones with their problem.

    `source` is a file, a folder, a glob or `hf:owner/name[:split][@revision]`; `format` names the records'
    format, which each record's own keys tell otherwise. Keys whose paths are in `ignore` are passed over.
    UserError when the source itself cannot be read.
    """
    if format is not None:
        reader_of(format)
    for one in raw(source):
        yield record(one, format, ignore)


def raw(source: str | Path) -> Iterator[Raw]:
    """The records of `source` before any importer: cheap, and cheap to send to another process."""
    if isinstance(source, str) and source.startswith("hf:"):
        yield from hub.records(source)
        return
    for path in files(source):
        if _is_parquet(path):
            yield from parquet.records(path)
        else:
            yield from text.records(path)
    for path in unread(source):
        endings = "".join(path.suffixes[-2:]) if path.suffix.lower() == ".gz" else path.suffix
        yield Raw(str(path), problem=f"a folder's {endings} files are not read; {_CONVERT}.")


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1" or path.suffix == ".parquet"
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}); check its permissions.") from None


def record(raw: Raw, format: str | None = None, ignore: frozenset[str] = NONE) -> Record:
    """What the importer of `format`, or of the record's own shape, makes of a raw record."""
    made = imported(raw, sniff if format is None else reader_of(format), Conversation, ignore)
    if isinstance(made, str):
        return Record(raw.where, None, made, ends=raw.ends)
    return Record(raw.where, made[0], None, made[1])
