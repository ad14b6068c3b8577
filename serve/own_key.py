"""The key of the machine's own user: made with a registry's first start, found by this user's commands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from data.home import held_port, key_file, key_of_port

if TYPE_CHECKING:
    from serve.registry.keys import Keys


def own_key(keys: "Keys", file: Path) -> Path | None:
    """Where a registry has no key at all, make one for everything and keep it in `file`.

    A key of another registry that lies there is kept beside it; returns where.
    """
    if keys.all():
        return None
    secret = keys.create("local", ["admin"])
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(file)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(secret + "\n")
    return aside


@contextmanager
def known_by_port(port: int, registry: Path | None, database: str | None) -> Iterator[None]:
    """For as long as the server runs, this user's commands find the registry's key by the server's port."""
    link, file = key_of_port(port), key_file(registry, database).absolute()
    link.parent.mkdir(parents=True, exist_ok=True)
    with held_port(port):
        link.unlink(missing_ok=True)
        if file.is_file():
            link.symlink_to(file)
        try:
            yield
        finally:
            if link.is_symlink() and link.readlink() == file:
                with suppress(FileNotFoundError):
                    link.unlink()


def _aside(file: Path) -> Path | None:
    """Give what lies at `file` the first free name of `key.1`, `key.2`, ...: it may be the only copy."""
    if not file.exists():
        return None
    number = 1
    while (aside := file.with_name(f"{file.name}.{number}")).exists():
        number += 1
    file.rename(aside)
    return aside
