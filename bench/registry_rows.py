"""A registry with thousands of adapters, without their bytes: rows of the same form as a push writes."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from serve.registry.storage import Storage
from serve.registry.tables import AdapterRow, AliasRow, KeyRow, MoveRow, Table, VersionRow


def name_of(number: int) -> str:
    return f"customer-{number:05}"


def fill(storage: Storage, model: VersionRow, start: int, end: int) -> None:
    """Adapters from `start` to `end`: each with a version like `model`, an alias that moved, and a key."""
    now = datetime.now(UTC)
    with storage.database.write() as session:
        for first in range(start, end, 1000):
            names = [name_of(number) for number in range(first, min(end, first + 1000))]
            _insert(session, AdapterRow, [{"name": name, "created": now} for name in names])
            _insert(session, VersionRow, [_version(model, name, now) for name in names])
            alias = {"alias": "default", "number": 1}
            _insert(session, AliasRow, [{"adapter": name, **alias} for name in names])
            move = {**alias, "previous": None, "time": now, "by": "bench"}
            _insert(session, MoveRow, [{"adapter": name, **move} for name in names])
            _insert(session, KeyRow, [_key(name, now) for name in names])
        if storage.database.dialect == "postgresql":
            session.execute(text("ANALYZE"))  # what its autovacuum does within a minute


def _insert(session: Session, table: type[Table], rows: list[dict[str, Any]]) -> None:
    session.execute(insert(table), rows)


def _version(model: VersionRow, name: str, now: datetime) -> dict[str, Any]:
    return {
        "adapter": name,
        "number": 1,
        "digest": _digest(name),
        "rank": model.rank,
        "base_fingerprint": model.base_fingerprint,
        "files": {file: _digest(name + file) for file in model.files},
        "created": now,
        "size": model.size,
        "pushed_by": "bench",
        "provenance": model.provenance,
    }


def _key(name: str, now: datetime) -> dict[str, Any]:
    fields = {"name": name, "hash": secrets.token_hex(32), "scopes": ["chat"], "adapters": [name]}
    return {**fields, "created": now, "expires": None, "revoked": None}


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
