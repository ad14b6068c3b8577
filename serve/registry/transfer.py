"""A whole registry as a folder, and back: versions with their numbers, aliases with their history."""

import json
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from data.errors import UserError
from serve.registry.blobs import check
from serve.registry.storage import Storage
from serve.registry.tables import (
    AdapterRow,
    AliasRow,
    MoveRow,
    PinRow,
    PolicyRow,
    ReportRow,
    Table,
    TombstoneRow,
    VersionRow,
)

_TABLES: tuple[type[Table], ...] = (
    AdapterRow,
    VersionRow,
    TombstoneRow,
    PinRow,
    AliasRow,
    MoveRow,
    PolicyRow,
    ReportRow,
)
"""In an order in which each row's references are there already. Keys stay: they are this server's secrets."""

FORMAT = 3
READABLE = (1, 2, FORMAT)
"""In the first format aliases have no canaries, in the first two they ask for no reports."""

Told = Callable[[int, int], None]
"""Called with how many of how many blobs are done."""


def export(storage: Storage, folder: Path, told: Told = lambda done, of: None) -> int:
    """Write the registry to a new `folder`, whole or not at all; returns the number of versions."""
    if folder.exists():
        raise UserError(f"{folder} exists; export to a folder that does not.")
    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    (staged / "blobs").mkdir(parents=True)
    try:
        with storage.database.read() as session:
            rows = {
                table.__tablename__: [_plain(row) for row in session.scalars(select(table))]
                for table in _TABLES
            }
        buried = {(row["adapter"], row["number"]) for row in rows["tombstones"]}
        live = [row for row in rows["versions"] if (row["adapter"], row["number"]) not in buried]
        blobs = sorted({blob for row in live for blob in row["files"].values()})
        for done, blob in enumerate(blobs):
            told(done, len(blobs))
            _copy(storage, blob, staged / "blobs" / blob.removeprefix("sha256:"))
        told(len(blobs), len(blobs))
        content = {"format": FORMAT, "tables": rows}
        (staged / "registry.json").write_text(json.dumps(content, indent=1))
        staged.rename(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return len(live)


def restore(storage: Storage, folder: Path, told: Told = lambda done, of: None) -> int:
    """Take an exported registry into one without adapters; returns the number of versions.

    UserError, and nothing is taken in, where it is no export or a blob is not what its name says.
    """
    tables = _read(folder)
    if storage.index.names():
        raise UserError("The registry holds adapters already; import into an empty one (--registry DIR).")
    if storage.policies.any():
        raise UserError("The registry holds policies already; end them with `serve gate NAME --off` first.")
    blobs = sorted((folder / "blobs").iterdir())
    for done, path in enumerate(blobs):
        told(done, len(blobs))
        storage.blobs.put(f"sha256:{path.name}", path)
    told(len(blobs), len(blobs))
    with storage.database.write() as session:
        for table in _TABLES:
            for row in tables.get(table.__tablename__, []):
                session.add(_row(table, row))
            session.flush()
        storage.database.count_on(session, "alias_history", "sequence")
    buried = {(row["adapter"], row["number"]) for row in tables["tombstones"]}
    return sum((row["adapter"], row["number"]) not in buried for row in tables["versions"])


def _copy(storage: Storage, blob: str, target: Path) -> None:
    """A file of its own: what becomes of an export must not reach the registry."""
    with target.open("xb") as file:
        for block in storage.blobs.read(blob):
            file.write(block)
    check(blob, target)


def _read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads((folder / "registry.json").read_bytes())
    except (OSError, ValueError):
        raise UserError(
            f"{folder} holds no registry.json; give a folder that `serve export` wrote."
        ) from None
    if not isinstance(content, dict) or content.get("format") not in READABLE:
        raise UserError(
            f"{folder} is of a format that is none of {READABLE}; import it with the version that wrote it."
        )
    tables: dict[str, list[dict[str, Any]]] = content["tables"]
    return tables


def _plain(row: Table) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _row(table: type[Table], values: dict[str, Any]) -> Table:
    times = {"created", "time", "finished"} & values.keys()
    return table(**values | {key: datetime.fromisoformat(values[key]) for key in times})
