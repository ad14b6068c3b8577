"""A whole registry as a folder, and back: versions with their numbers, aliases with their history."""

import json
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import FlushError

from data import digest
from data.errors import UserError, shown
from data.home import home
from data.limits import LORA_RANKS
from data.manifest import BaseManifest, adapter_digest, read_base
from serve.registry import base_modules, rows, strict_json, validate
from serve.registry.base_modules import Modules
from serve.registry.blobs import check
from serve.registry.folders import COMPUTED, ENGINE
from serve.registry.fsck import in_order
from serve.registry.provenance import provenance
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

MOST_VALUES = 2**26
"""Members of objects and lists in an export's rows: some tens of thousands of versions."""

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

    An export may come from anybody: its rows are held to what a registry writes, and each version to what a
    push is, against its base where that is built on this machine. UserError, and nothing is taken in, where
    something is otherwise, or a blob is not what its name says.
    """
    if storage.index.names():
        raise UserError("The registry holds adapters already; import into an empty one (--registry DIR).")
    if storage.policies.any():
        raise UserError("The registry holds policies already; end them with `serve gate NAME --off` first.")
    content = _read(folder)
    buried = {(row.adapter, row.number) for row in content if isinstance(row, TombstoneRow)}
    live = []
    for row in content:
        if not isinstance(row, VersionRow):
            continue
        if (row.adapter, row.number) in buried:
            row.provenance = {}  # its files are not here to say the same
        else:
            live.append(row)
    moves = sorted((row for row in content if isinstance(row, MoveRow)), key=lambda row: row.sequence)
    aliases = [row for row in content if isinstance(row, AliasRow)]
    if problem := next(in_order(aliases, live, moves), None):
        raise _no_export(folder, f"{problem.what}: {problem.why}")
    for done, version in enumerate(live):
        told(done, len(live))
        _take_in(storage, folder / "blobs", version)
    told(len(live), len(live))
    try:
        with storage.database.write() as session:
            for _, of_table in groupby(content, type):
                session.add_all(of_table)
                session.flush()
            storage.database.count_on(session, "alias_history", "sequence")
    except (DBAPIError, FlushError) as error:
        raise _no_export(folder, f"its rows do not belong together: {type(error).__name__}") from None
    return len(live)


def _take_in(storage: Storage, blobs: Path, row: VersionRow) -> None:
    """Check a version as one that is pushed, and keep its bytes. What the engine gets is written anew."""
    reference = f"{row.adapter}@{row.number}"
    with TemporaryDirectory(prefix="enxerto-import-") as made:
        adapter = Path(made) / "adapter"
        adapter.mkdir()
        for name, blob in row.files.items():
            source = blobs.absolute() / blob.removeprefix("sha256:")
            if source.is_symlink() or not source.is_file():
                raise UserError(f"{reference} has no {name} among the blobs of the export; export it again.")
            if not name.startswith(ENGINE):
                (adapter / name).symlink_to(source)
        base, modules = _base_of(row.base_fingerprint)
        try:
            checked = validate.check(adapter, base, modules, max(LORA_RANKS), allow_noop=True)
        except UserError as error:
            raise UserError(f"{reference} of the export would not be taken by a push: {error}") from None
        if (adapter_digest(checked.digests), checked.base_fingerprint) != (row.digest, row.base_fingerprint):
            raise UserError(f"{reference} of the export is not what its digest says; export it again.")
        for name, path in ((name, adapter / name) for name in checked.digests):
            storage.blobs.put(checked.digests[name], path)
        config = Path(made) / "adapter_config.json"
        config.write_bytes(checked.config)
        files = checked.digests | {f"{ENGINE}adapter_config.json": digest.of_file(config)}
        storage.blobs.put(files[f"{ENGINE}adapter_config.json"], config)
        if computed := row.files.get(COMPUTED):
            probes = blobs / computed.removeprefix("sha256:")
            validate.check_probes(probes)
            storage.blobs.put(computed, probes)
            files[COMPUTED] = computed
        row.files, row.rank = files, checked.rank
        row.size = sum((adapter / name).stat().st_size for name in checked.digests)
        adopted = row.provenance.get("adopted") or {}
        why = adopted.get("without_probes") if isinstance(adopted, dict) else None
        row.provenance = provenance(checked, shown(why, 500) if isinstance(why, str) else None)


def _base_of(fingerprint: str) -> tuple[BaseManifest | None, Modules | None]:
    """The base with this fingerprint and its layers, where it is built on this machine."""
    for manifest in sorted((home() / "bases").glob("*/base.json")):
        with suppress(UserError):
            base = read_base(manifest.parent)
            if base.fingerprint == fingerprint:
                return base, base_modules.read(manifest.parent)
    return None, None


def _copy(storage: Storage, blob: str, target: Path) -> None:
    """A file of its own: what becomes of an export must not reach the registry."""
    with target.open("xb") as file:
        for block in storage.blobs.read(blob):
            file.write(block)
    check(blob, target)


def _read(folder: Path) -> list[Table]:
    """The rows of an export, in an order in which each one's references are there already."""
    try:
        content = strict_json.parse((folder / "registry.json").read_bytes(), MOST_VALUES)
    except OSError:
        raise UserError(
            f"{folder} holds no registry.json; give a folder that `serve export` wrote."
        ) from None
    except ValueError as error:
        raise _no_export(folder, str(error)) from None
    if not isinstance(content, dict) or content.get("format") not in READABLE:
        raise UserError(
            f"{folder} is of a format that is none of {READABLE}; import it with the version that wrote it."
        )
    tables = content.get("tables")
    try:
        if not isinstance(tables, dict) or tables.keys() - {table.__tablename__ for table in _TABLES}:
            raise ValueError("it has other tables")
        found = []
        for table in _TABLES:
            of_table = tables.get(table.__tablename__, [])
            if not isinstance(of_table, list):
                raise ValueError(f"{table.__tablename__} is no list")
            found += [rows.row(table, values) for values in of_table]
        for row in found:
            if isinstance(row, VersionRow):
                rows.version(row)
    except (UserError, ValueError) as error:
        raise _no_export(folder, str(error)) from None
    return found


def _no_export(folder: Path, why: str) -> UserError:
    why = shown(why, 300).rstrip(".")
    return UserError(f"{folder} is nothing that `serve export` wrote ({why}); export the registry again.")


def _plain(row: Table) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
