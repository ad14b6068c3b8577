"""API keys: what each may do, and to which adapters. Only hashes are kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from data.errors import UserError
from serve.registry.database import Database
from serve.registry.records import UnknownKey, checked_name, is_name
from serve.registry.tables import KeyRow

Scope = Literal["chat", "push", "admin"]
"""`chat` asks the base and adapters; `push` uploads versions, moves aliases and reads the registry; `admin`
does everything else. Each holds what stands before it."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

LONGEST = timedelta(days=36_500)
"""How far ahead a key may expire: what lies near the end of the calendar has no time in UTC."""

PREFIX = "enx_"
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


MOST = 2**53
"""Of a limit: JSON numbers are exact up to it."""


@dataclass(frozen=True)
class Limits:
    """What a key may use, on all servers of the registry together; None: as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None

    def check(self) -> None:
        for name, most in vars(self).items():
            if most is not None and not 1 <= most <= MOST:
                raise UserError(f"{name} is {most}; give 1 to {MOST}, or none for no limit.")


@dataclass(frozen=True)
class Key:
    """A key without its secret. `adapters` None: all of them, and the base; times in UTC."""

    name: str
    scopes: tuple[Scope, ...]
    adapters: tuple[str, ...] | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    group: str | None = None
    limits: Limits = Limits()

    @property
    def tenant(self) -> str:
        """Whose caches the key shares: those of its group, or only its own."""
        return f"key {self.name}" if self.group is None else f"group {self.group}"

    def may(self, scope: Scope) -> bool:
        return any(SCOPES.index(held) >= SCOPES.index(scope) for held in self.scopes)

    def reaches(self, adapter: str) -> bool:
        return self.adapters is None or adapter in self.adapters

    @property
    def lapsed(self) -> str | None:
        """Why the key no longer opens anything; None while it does."""
        if self.revoked:
            return "was revoked"
        if self.expires and self.expires <= datetime.now(UTC):
            return f"expired on {self.expires:%Y-%m-%d %H:%M} UTC"
        return None


class Keys:
    """The keys in a database. A secret has 256 random bits, so one round of SHA-256 is enough to hide it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        scopes: list[Scope],
        adapters: list[str] | None = None,
        expires: datetime | None = None,
        group: str | None = None,
        limits: Limits = Limits(),
    ) -> str:
        """Make a key and return its secret, which is shown this once; UserError when the name is taken."""
        checked_name(name, "key name")
        if not scopes or (unknown := [scope for scope in scopes if scope not in SCOPES]):
            given = ", ".join(unknown) if scopes else "none"
            raise UserError(f"a key's scopes are of {', '.join(SCOPES)}; given was {given[:100]}.")
        if group is not None:
            checked_name(group, "group")
        limits.check()
        for adapter in adapters or ():
            checked_name(adapter)
        if adapters is not None and "admin" in scopes:
            raise UserError("a key that may do everything reaches every adapter; name none, or give it less.")
        if expires and not timedelta(0) < expires - datetime.now(UTC) < LONGEST:
            raise UserError(
                f"the key would expire on {expires:%Y-%m-%d}, which is over or more than {LONGEST.days} days "
                "away; give another time, or none for a key that never expires."
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._database.write() as session:
            if session.get(KeyRow, name):
                raise UserError(f"there is a key {name!r} already; choose another name.")
            row = KeyRow(
                name=name,
                hash=hashed(secret),
                scopes=list(scopes),
                adapters=adapters,
                created=datetime.now(UTC),
                expires=expires,
                revoked=None,
                group=group,
                **vars(limits),
            )
            session.add(row)
        return secret

    def revoke(self, name: str) -> None:
        """The key opens nothing any more; its name stays, in what it did. UnknownKey if there is none."""
        with self._database.write() as session:
            row = _existing(session, name)
            row.revoked = row.revoked or datetime.now(UTC)

    def limit(self, name: str, limits: Limits) -> None:
        """Hold the key to these limits from now on, and to no others. UnknownKey if there is none."""
        limits.check()
        with self._database.write() as session:
            row = _existing(session, name)
            for limit, most in vars(limits).items():
                setattr(row, limit, most)

    def all(self) -> list[Key]:
        """By name."""
        with self._database.read() as session:
            return [_key(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.name))]

    def find(self, secret: str) -> Key | None:
        """The key with this secret, lapsed or not. What has not a secret's form is not looked for."""
        if not is_secret(secret):
            return None
        with self._database.read() as session:
            row = session.scalar(select(KeyRow).filter_by(hash=hashed(secret)))
            return _key(row) if row else None

    def hashes(self) -> frozenset[str]:
        """What `hashed` says of every key's secret."""
        with self._database.read() as session:
            return frozenset(session.scalars(select(KeyRow.hash)))


def is_secret(text: str) -> bool:
    """Whether a text has the form of a key's secret."""
    return _SECRET.fullmatch(text) is not None


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: KeyRow) -> Key:
    adapters = None if row.adapters is None else tuple(row.adapters)
    scopes = tuple(scope for scope in SCOPES if scope in row.scopes)
    return Key(
        row.name,
        scopes,
        adapters,
        row.created,
        row.expires,
        row.revoked,
        row.group,
        Limits(row.requests_per_minute, row.tokens_per_minute, row.tokens_per_day),
    )


def _existing(session: Session, name: str) -> KeyRow:
    row = session.get(KeyRow, name) if is_name(name) else None
    if row is None:
        raise UnknownKey(f"there is no key {name[:100]!r}; `serve keys ls` lists all.")
    return row
