"""Rows of an export, which anybody may have written: what they must be before one of them enters an index."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from data import digest
from data.errors import shown
from data.manifest import ADAPTER_FILES, OPTIONAL_FILES, adapter_digest, one_line
from data.mistakes import first_error
from data.policy import Policy
from data.report import Evidence
from serve.registry.folders import COMPUTED, ENGINE
from serve.registry.records import checked_name
from serve.registry.tables import Table, VersionRow

MOST = 2**31
"""Of any number but a size."""

NAMES = {"adapter", "name", "alias", "by", "pushed_by"}
DIGESTS = {"digest", "base_fingerprint", "report"}
TIMES = {"created", "time", "finished"}
NUMBERS = {"number", "previous", "canary", "sequence", "rank"}

_DIGEST = TypeAdapter(digest.Digest)
_FILES = {*ADAPTER_FILES, *OPTIONAL_FILES, f"{ENGINE}adapter_config.json", COMPUTED}


def row(table: type[Table], values: Any) -> Table:
    """A row of `table`; ValueError with the first thing that is wrong in it."""
    columns = {column.key: column for column in table.__mapper__.columns}
    if not isinstance(values, dict) or not values.keys() <= columns.keys():
        raise ValueError(f"a row of {table.__tablename__} has other columns than this version of the code")
    made: dict[str, Any] = {}
    for key, column in columns.items():
        value = values.get(key)
        if value is not None:
            try:
                made[key] = _checked(key, value)
            except ValidationError as error:
                raise ValueError(f"{table.__tablename__}.{key}: {first_error(error)}") from None
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"{table.__tablename__}.{key}: {error}") from None
        elif not column.nullable and column.default is None:
            raise ValueError(f"a row of {table.__tablename__} has no {key}")
    return table(**made)


def version(row: VersionRow) -> None:
    """ValueError unless a version's digest is that of its files."""
    uploaded = {name: blob for name, blob in row.files.items() if not name.startswith(ENGINE)}
    if not set(ADAPTER_FILES) <= row.files.keys() or adapter_digest(uploaded) != row.digest:
        raise ValueError(f"the digest of {row.adapter}@{row.number} is not that of its files")


def _checked(key: str, value: Any) -> Any:
    if key in NAMES:
        return checked_name(str(value), key)
    if key in DIGESTS:
        return _DIGEST.validate_python(value)
    if key in TIMES:
        return datetime.fromisoformat(value).astimezone(UTC)
    if key in NUMBERS:
        return _whole(value, 1, MOST)
    return _OTHERS[key](value)


def _whole(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return value


def _line(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1024:
        raise ValueError("must be a line of text")
    return one_line(value)


def _files(value: dict[str, str]) -> dict[str, str]:
    """A path in a name would be one out of the registry's folder."""
    if not isinstance(value, dict):
        raise ValueError("must be files with their digests")
    if other := value.keys() - _FILES:
        raise ValueError(f"an adapter has no file {shown(min(map(str, other)))!r}")
    return {name: _DIGEST.validate_python(blob) for name, blob in value.items()}


def _reports(value: list[str]) -> list[str]:
    return [_DIGEST.validate_python(one) for one in value]


_OTHERS: dict[str, Callable[[Any], Any]] = {
    "files": _files,
    "size": lambda value: _whole(value, 0, 2**50),
    "weight": lambda value: _whole(value, 1, 99),
    "override": _line,
    "suite": _line,
    "reports": _reports,
    "provenance": dict,
    "policy": lambda value: Policy.model_validate(value).model_dump(mode="json"),
    "evidence": lambda value: Evidence.model_validate(value).model_dump(mode="json"),
}
"""Every other column of the tables that are exported."""
