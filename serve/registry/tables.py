"""The index's tables, as this version of the code knows them; `migrations/` makes them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Utc(TypeDecorator[datetime]):
    """SQLite keeps no time zone, so UTC goes in and UTC comes out, on every database alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


class Table(DeclarativeBase):
    type_annotation_map = {dict[str, str]: JSON, dict[str, Any]: JSON, list[str]: JSON, datetime: Utc}


def _version(column: str) -> ForeignKeyConstraint:
    """The adapter's version with the number in `column`."""
    return ForeignKeyConstraint(["adapter", column], ["versions.adapter", "versions.number"])


class AdapterRow(Table):
    __tablename__ = "adapters"
    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]


class VersionRow(Table):
    """`files` is the digest of each file by its name: what the blobs are found by. `size` is in bytes, of
    all of them. `provenance` is what the manifest and the checks say, for people."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("adapter", "digest"),)
    adapter: Mapped[str] = mapped_column(ForeignKey("adapters.name"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    rank: Mapped[int]
    base_fingerprint: Mapped[str]
    files: Mapped[dict[str, str]]
    created: Mapped[datetime]
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    pushed_by: Mapped[str | None]
    provenance: Mapped[dict[str, Any]] = mapped_column(default=dict)


class TombstoneRow(Table):
    """A version that was removed: nothing resolves to it, and its bytes go with the next collection."""

    __tablename__ = "tombstones"
    __table_args__ = (ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    by: Mapped[str | None]
    time: Mapped[datetime]


class PinRow(Table):
    """A version that stays: it is loaded when a server starts, and cannot be removed."""

    __tablename__ = "pins"
    __table_args__ = (ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    by: Mapped[str | None]
    time: Mapped[datetime]


class AliasRow(Table):
    """Means version `number`, but for `weight` percent of the requests `canary`, where there is one."""

    __tablename__ = "aliases"
    __table_args__ = (_version("number"), _version("canary"))
    adapter: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    canary: Mapped[int | None]
    weight: Mapped[int | None]


class MoveRow(Table):
    """One move of an alias, from version `previous` to what the other columns say, as in its row; `number` is
    null where it was taken away. No sequence number comes twice. `reports` are those that its gate looked at,
    and `override` is why it moved whatever they said."""

    __tablename__ = "alias_history"
    __table_args__ = (_version("number"), _version("canary"), {"sqlite_autoincrement": True})
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    adapter: Mapped[str] = mapped_column(index=True)
    alias: Mapped[str]
    previous: Mapped[int | None]
    number: Mapped[int | None]
    time: Mapped[datetime]
    by: Mapped[str | None]
    canary: Mapped[int | None]
    weight: Mapped[int | None]
    override: Mapped[str | None]
    reports: Mapped[list[str]] = mapped_column(default=list)


class KeyRow(Table):
    """An API key; only the SHA-256 of its secret is kept. `adapters` null means all of them, and a limit of
    null is none. Keys of one `group` share a cache."""

    __tablename__ = "keys"
    name: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    adapters: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[datetime]
    expires: Mapped[datetime | None]
    revoked: Mapped[datetime | None]
    group: Mapped[str | None]
    requests_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)


class ServerRow(Table):
    """A server that uses this registry, and what its engine holds; written again while it lives."""

    __tablename__ = "servers"
    identity: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    loaded: Mapped[list[str]]
    seen: Mapped[datetime]


class VerdictRow(Table):
    """What came of the probes of an adapter's bytes on an engine; `why` they are not served, where not."""

    __tablename__ = "verdicts"
    digest: Mapped[str] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(primary_key=True)
    why: Mapped[str | None]
    found: Mapped[dict[str, Any]]
    time: Mapped[datetime]


class PolicyRow(Table):
    """What an alias asks for before it moves."""

    __tablename__ = "policies"
    adapter: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    policy: Mapped[dict[str, Any]]
    by: Mapped[str | None]
    time: Mapped[datetime]


class ReportRow(Table):
    """An evaluation of a version, by the digest of what it found; `finished` is when that was."""

    __tablename__ = "reports"
    __table_args__ = (_version("number"),)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    report: Mapped[str] = mapped_column(primary_key=True)
    suite: Mapped[str]
    finished: Mapped[datetime]
    evidence: Mapped[dict[str, Any]]
    by: Mapped[str | None]
    time: Mapped[datetime]


class BudgetRow(Table):
    """What a key with limits used or reserved in the last minute and day of Unix time that it asked in."""

    __tablename__ = "budgets"
    key: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)
    minute_tokens: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[int] = mapped_column(BigInteger)
    day_tokens: Mapped[int] = mapped_column(BigInteger)


class UsageRow(Table):
    """What a key used of an adapter on a day of Unix time; the adapter is empty for the base."""

    __tablename__ = "usage"
    day: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)


class RevisionRow(Table):
    """One row, whose number grows with each transaction that changes what a name means."""

    __tablename__ = "revision"
    identity: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
