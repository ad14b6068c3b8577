"""What the registry speaks of: a version, and the ways to name one."""

import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from data.errors import UserError

DEFAULT_ALIAS = "default"
"""The alias that a bare adapter name means."""

_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_REFERENCE = re.compile(
    rf"(?P<name>{_NAME})(?::(?P<alias>{_NAME})|@(?P<number>[1-9][0-9]{{0,8}})|@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)


class UnknownAdapter(UserError):  # noqa: N818 - named for what was found, as callers say it
    """Nothing in the registry has this name, alias, number or digest; `near` are names that have."""

    def __init__(self, what: str, near: Sequence[str] = ()) -> None:
        hint = f"the nearest names are {', '.join(near)}" if near else "no name is near"
        super().__init__(f"{what}; {hint}, and `serve ls` lists all.")
        self._what, self._near = what, near

    def told(self, reaches: Callable[[str], bool]) -> "UnknownAdapter":
        """The same for somebody who may know of those adapters only that `reaches` says."""
        return UnknownAdapter(
            self._what, [name for name in self._near if reaches(re.split("[:@]", name, maxsplit=1)[0])]
        )


class AliasMoved(UserError):  # noqa: N818 - likewise
    """A compare-and-swap found the alias at another version than the caller had seen."""


class GateClosed(UserError):  # noqa: N818 - likewise
    """The reports on a version do not answer what an alias asks for before it moves."""


class NotServable(UserError):  # noqa: N818 - likewise
    """The version exists, but it was made for another base or needs more room than this server has."""


class UnknownUpload(UserError):  # noqa: N818 - likewise
    """No upload has this id: it was never made, is committed, or was left too long."""


class UploadBusy(UserError):  # noqa: N818 - likewise
    """The upload is being committed by another request."""


class UploadIncomplete(UserError):  # noqa: N818 - likewise
    """Files of the upload are still to come."""


class OffsetMoved(UserError):  # noqa: N818 - likewise
    """A file of an upload does not stand at the byte that the client means to go on from."""


class InUse(UserError):  # noqa: N818 - likewise
    """The version cannot be removed: an alias means it, or a pin holds it."""


class UnknownKey(UserError):  # noqa: N818 - likewise
    """No API key has this name."""


class MissingBlob(UserError):  # noqa: N818 - likewise
    """The blob store has no bytes under this digest."""


class DamagedBlob(UserError):  # noqa: N818 - likewise
    """The bytes under a digest are not those of the digest."""


class StorageBusy(UserError):  # noqa: N818 - likewise
    """The index or the blobs cannot answer now; the same request may succeed in a moment."""


class StorageFull(UserError):  # noqa: N818 - likewise
    """There is no room on a disk that the registry writes to."""

    @classmethod
    def of(cls, error: OSError) -> "StorageFull | None":
        """What a full disk's error means; None for any other's."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return None
        return cls("The registry's disk is full; make room, for example with `serve gc`.")


@dataclass(frozen=True)
class Removed:
    """When a version was removed, and by which key."""

    time: datetime
    by: str | None


@dataclass(frozen=True)
class Version:
    """One immutable version of an adapter; `folder` holds its files, read-only, for the engine.

    `digest` is `sha256:<hex>` over the digests of the files, `number` counts from 1 within the adapter,
    `rank` is the LoRA rank, `size` the bytes of all files, `created` is in UTC. `provenance` is what its
    manifest and the checks say of it. `removed` and `pinned` are what they were when this was asked.
    """

    name: str
    number: int
    digest: str
    rank: int
    base_fingerprint: str
    folder: Path
    created: datetime
    files: dict[str, str] = field(default_factory=dict)
    size: int = 0
    pushed_by: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    removed: Removed | None = None
    pinned: bool = False

    @property
    def reference(self) -> str:
        """The name that always means this version, as in `support@3`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Aim:
    """Where an alias points: to version `number`, but for `weight` percent of the requests to `canary`."""

    number: int
    canary: int | None = None
    weight: int | None = None

    @property
    def numbers(self) -> list[int]:
        return [self.number, *([self.canary] if self.canary else [])]


@dataclass(frozen=True)
class Adapter:
    """A name with all of its versions, oldest first, and where its aliases point."""

    name: str
    versions: tuple[Version, ...]
    aims: dict[str, Aim]

    @property
    def aliases(self) -> dict[str, int]:
        """The version that each alias means, but for its canary."""
        return {alias: aim.number for alias, aim in self.aims.items()}


@dataclass(frozen=True)
class Move:
    """One entry of an alias's history: at `time` it went from version `previous` (None: new) to `aim` (None:
    it was removed), by the hand of the key `by`.

    `sequence` grows with every move in the registry and is never used twice. `reports` are the digests of
    those that the alias's gate looked at; `override` is why it moved whatever they said.
    """

    sequence: int
    alias: str
    previous: int | None
    aim: Aim | None
    time: datetime
    by: str | None = None
    override: str | None = None
    reports: tuple[str, ...] = ()

    @property
    def number(self) -> int | None:
        return self.aim.number if self.aim else None


@dataclass(frozen=True)
class Reference:
    """A parsed adapter name; exactly one of `alias`, `number` and `digest` is set."""

    name: str
    alias: str | None = None
    number: int | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """`support`, `support:canary`, `support@3` or `support@sha256:<hex>`; UserError otherwise."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UserError(
                f"{text[:100]!r} names no adapter; write NAME, NAME:ALIAS, NAME@NUMBER or NAME@sha256:HEX "
                "with names of lower case letters, digits, '.', '_' and '-'."
            )
        if number := match["number"]:
            return cls(match["name"], number=int(number))
        if digest := match["digest"]:
            return cls(match["name"], digest=digest)
        return cls(match["name"], alias=match["alias"] or DEFAULT_ALIAS)


def is_name(text: str) -> bool:
    """Whether `text` may name an adapter, an alias or a key."""
    return re.fullmatch(_NAME, text) is not None


def checked_name(text: str, what: str = "adapter name") -> str:
    """`text` again when it may name an adapter or an alias; UserError otherwise."""
    if not is_name(text):
        raise UserError(
            f"{what} {text[:100]!r} is not allowed; use 1 to 63 lower case letters, digits, '.', '_' "
            "and '-', the first a letter or digit."
        )
    return text
