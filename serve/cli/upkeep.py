"""Looking after a registry: `gc` and `fsck` through a server, `export` and `import` on the disks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.home import own_files, registry_folder
from serve.cli.printing import Blobs, Database, Json, Registry, Url, as_json, say, size, table

if TYPE_CHECKING:
    from serve.registry.storage import Storage
    from serve.registry.transfer import Told

Local = Annotated[
    bool, typer.Option("--local", help="Look at the registry on this machine, without a server.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR")]


@contextmanager
def opened(registry: Path | None, database: str | None, blobs: str | None) -> "Iterator[Storage]":
    """The registry on its disks; it may be in use by servers meanwhile."""
    from serve.registry.storage import open_storage

    own_files()
    storage = open_storage(registry or registry_folder(), database, blobs)
    try:
        yield storage
    finally:
        storage.close()


def gc(
    days: Annotated[float, typer.Option(min=0, help="Keep what was removed less long ago.")] = 7,
    uploads: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Keep unfinished uploads touched less long ago.")
    ] = 1,
    url: Url = None,
    json: Json = False,
) -> None:
    """Delete the bytes of removed versions, and what crashes and given-up uploads left behind."""
    from serve.client.registry import collect

    found = collect(days, uploads, url)
    if json:
        as_json(found)
        return
    say(
        f"{found['blobs']} blobs ({size(found['bytes'])}), {found['folders']} folders and {found['uploads']} "
        "uploads are gone"
    )


def fsck(
    local: Local = False,
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Read every byte of every version, every alias and move; exit code 1 if something is wrong."""
    if local:
        from serve.registry.fsck import fsck

        with opened(registry, database, blobs) as storage:
            examined = fsck(storage)
        found = vars(examined) | {"problems": [vars(problem) for problem in examined.problems]}
    else:
        from serve.client import registry as server

        found = server.fsck(url)
    if json:
        as_json(found)
    else:
        if found["problems"]:
            table(("what", "why"), [(one["what"], one["why"]) for one in found["problems"]])
        wrong = f"{len(found['problems'])} problems" if found["problems"] else "all whole"
        say(f"{found['versions']} versions, {found['blobs']} blobs, {found['moves']} moves: {wrong}")
    if found["problems"]:
        raise typer.Exit(1)


def export(
    folder: Folder,
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Write the whole registry but its keys to a new folder."""
    from serve.registry.transfer import export

    with opened(registry, database, blobs) as storage, _counting() as told:
        count = export(storage, folder, told)
    say(f"{folder}: {count} versions; read it in with `serve import {folder} --registry DIR`")


def import_(
    folder: Folder,
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Take an exported registry into one that has no adapters yet."""
    from serve.registry.transfer import restore

    with opened(registry, database, blobs) as storage, _counting() as told:
        count = restore(storage, folder, told)
    say(f"{count} versions are in; look at them with `serve fsck --local`")


@contextmanager
def _counting() -> "Iterator[Told]":
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("blobs")
        yield lambda done, of: progress.update(task, completed=done, total=of)
