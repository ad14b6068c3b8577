"""An adapter's folder to a server, going on where a connection broke."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from data import digest
from data.errors import UserError, shown
from data.manifest import ADAPTER_FILES, OPTIONAL_FILES, AdoptedManifest
from serve.adopt.adopt import adopt
from serve.adopt.folder import look
from serve.adopt.layout import BaseLayout
from serve.adopt.sources import fetched
from serve.client.connection import ask, attempts, connect, read, require_success
from serve.client.probes import add_probes
from serve.registry.records import checked_name

BLOCK_BYTES = 2**18

Say = Callable[[str], None]


def push(
    source: Path | str,
    name: str,
    aliases: list[str],
    url: str | None = None,
    allow_noop: bool = False,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Upload an adapter and wait until it answers; what the server says of the version.

    `source` is a folder that some trainer wrote, `hf:OWNER/NAME@REVISION` or `s3://BUCKET/PREFIX`; an adapter
    that is not ours is mapped to PEFT's plain layout first. What stays behind, and what is not known of it,
    is told to `say`. What arrived is not sent twice: files in the server's store are not sent at all, and a
    broken file goes on where it stands. The same files are the same version.
    """
    checked_name(name)
    with fetched(str(source)) as place:
        try:
            found = look(place.folder)
        except OSError as error:
            raise UserError(f"{place.folder} cannot be read ({error.strerror}).") from None
        if found.layout == "enxerto":  # beside it lie the run's log and report, which stay here
            return _upload(place.folder, name, aliases, url, allow_noop)
        if left := sorted({*found.left, *place.left}):
            say(f"not uploaded: {_listed(left)}")
        with TemporaryDirectory(prefix="enxerto-push-") as made:
            layout = BaseLayout.model_validate(ask("GET", "/v1/base", url))
            folder = Path(made) / "adapter"
            try:
                manifest = adopt(found, layout, folder, place.source, name)
            except OSError as error:
                raise UserError(
                    f"the adapter could not be mapped ({error.strerror}: {error.filename or made}); it is"
                    f" read from {place.folder} and written to {made}: make room, or set TMPDIR elsewhere."
                ) from None
            say(adopted(manifest))
            if why := add_probes(folder, manifest, url):
                say(f"no parity probes come with it: {why}")
            answer = _upload(folder, name, aliases, url, allow_noop)
    if without := (answer.get("adopted") or {}).get("without_probes"):
        say(f"the server computed none either, so its parity is not checked: {without}")
    return answer


def adopted(manifest: AdoptedManifest) -> str:
    """What is known of an adapter that was trained elsewhere, in one sentence."""
    told = manifest.adopted
    by = f", written by {told.trainer}" if told.trainer not in (None, told.layout) else ""
    known = "" if told.known_base else f", no name of {manifest.base.name}"
    claims = f"claims base {told.claimed_base}{known}" if told.claimed_base else "names no base"
    return (
        f"trained elsewhere: {told.source} ({told.layout}{by}) {claims}; its layers fit "
        f"{manifest.base.name}, "
        "which is all that can be compared"
    )


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return shown(", ".join(names[:most]), 400) + more


def _upload(folder: Path, name: str, aliases: list[str], url: str | None, allow_noop: bool) -> dict[str, Any]:
    files = files_of(folder)
    body = {"files": files, "aliases": aliases, "allow_noop": allow_noop}
    upload: str | None = None
    answer: dict[str, Any] = {}
    with connect(url) as client, _progress() as progress:
        task = progress.add_task(f"pushing {name}", total=sum(entry["size"] for entry in files.values()))
        try:
            for attempt in attempts(client):
                with attempt:
                    if upload is None or client.get(f"/v1/uploads/{upload}").status_code == 404:
                        upload = read(client.post(f"/v1/adapters/{name}/uploads", json=body))["upload"]
                    answer = _send(client, upload, folder, files, progress, task)
        except BaseException:
            if upload is not None:  # nobody will go on with it, and a key has only so many
                with suppress(httpx.HTTPError):
                    client.delete(f"/v1/uploads/{upload}")
            raise
    return answer


def _send(
    client: httpx.Client,
    upload: str,
    folder: Path,
    files: dict[str, dict[str, Any]],
    progress: Progress,
    task: Any,
) -> dict[str, Any]:
    known = read(client.get(f"/v1/uploads/{upload}"))
    progress.update(task, completed=sum(known["received"].values()))
    for file in known["missing"]:
        offset, size = known["received"][file], files[file]["size"]
        sent = client.put(
            f"/v1/uploads/{upload}/{file}?offset={offset}",
            content=_blocks(folder / file, offset, progress, task),
            headers={"content-length": str(size - offset)},
        )
        require_success(sent)
    progress.update(task, description="checking and loading")
    return read(client.post(f"/v1/uploads/{upload}/commit"))


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Digest and size of each file to push; UserError when the folder is no adapter."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give the folder that training wrote.")
    if missing := [name for name in ADAPTER_FILES if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} is no adapter: it has no {', no '.join(missing)}; give the folder that training wrote."
        )
    names = [*ADAPTER_FILES, *(name for name in OPTIONAL_FILES if (folder / name).is_file())]
    return {
        name: {"sha256": digest.of_file(folder / name), "size": (folder / name).stat().st_size}
        for name in names
    }


def _progress() -> Progress:
    """On standard error, so that standard output stays the answer; nothing where nobody looks."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _blocks(path: Path, offset: int, progress: Progress, task: Any) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(BLOCK_BYTES):
            yield block
            progress.advance(task, len(block))
