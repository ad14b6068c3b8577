"""Where an adapter lies: a folder of this machine, a repository of the Hugging Face hub, a bucket."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from data.errors import UserError, shown
from data.manifest import ADAPTER_FILES, OPTIONAL_FILES
from serve.adopt import mistral, mlx

WANTED = {*ADAPTER_FILES, *OPTIONAL_FILES, mistral.WEIGHTS, mistral.PARAMS, mlx.WEIGHTS}
"""What is fetched from elsewhere; the rest is left where it lies."""

MOST_BYTES = 8 * 2**30

_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?P<folder>(?:/[\w.-]+)*)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Place:
    """A folder on this machine, and what people call where it is from; `left` are files that stayed there."""

    folder: Path
    source: str
    left: tuple[str, ...] = ()


@contextmanager
def fetched(source: str) -> Iterator[Place]:
    """The files of `source`, here for as long as this lasts; UserError where they cannot be had."""
    if source.startswith("hf:"):
        yield _of_hub(source)
    elif source.startswith("s3://"):
        with TemporaryDirectory(prefix="enxerto-push-") as made:
            yield _of_bucket(source, Path(made))
    elif re.match(r"[a-z][a-z0-9+]*://", source):
        raise UserError(
            f"{shown(source)} is no place that adapters are taken from; give a folder, "
            "hf:OWNER/NAME@REVISION, or "
            "s3://BUCKET/PREFIX."
        )
    elif not source.strip():
        raise UserError(
            "The source is empty, as a variable is that nobody set; give the folder that training wrote, or "
            ". for this one."
        )
    else:
        yield _of_disk(source)


def _of_disk(source: str) -> Place:
    try:
        folder = Path(source).expanduser()
    except RuntimeError:
        raise UserError(
            f"{shown(source)} names the home of a user who is not here; write the folder's whole path."
        ) from None
    try:
        return Place(folder, f"folder {folder.resolve().name}")
    except (OSError, RuntimeError) as error:
        why = "the shell's own folder was deleted" if isinstance(error, FileNotFoundError) else str(error)
        raise UserError(
            f"{shown(source)} cannot be found ({shown(why, 200)}); write the folder's whole path."
        ) from None


def _of_hub(source: str) -> Place:
    match = _HUB.fullmatch(source.removeprefix("hf:"))
    if match is None:
        raise UserError(
            f"{shown(source)} names no repository; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION."
        )
    try:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise UserError(
            "hf: needs the package huggingface_hub, which is not installed; install it with `pip install "
            "huggingface_hub`, or download the repository and push its folder."
        ) from None
    repo, folder, revision = match["repo"], (match["folder"] or "").strip("/"), match["revision"] or "main"
    begin = f"{folder}/" if folder else ""
    try:
        root = Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=[f"{begin}{name}" for name in sorted(WANTED)]
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{repo} at {revision} could not be had from the hub ({shown(reason, 200)}); check the "
            "network, the "
            "name and HF_TOKEN, or download it elsewhere and push its folder."
        ) from None
    left: tuple[str, ...] = ()
    try:
        listed = HfApi().list_repo_files(repo, revision=revision) if not _offline() else []
        left = tuple(
            sorted(
                name.removeprefix(begin)
                for name in listed
                if name.startswith(begin) and name.removeprefix(begin) not in WANTED
            )
        )
    except (HfHubHTTPError, OSError, ValueError):
        pass  # what stayed there is for people alone
    here = root / folder if folder else root
    if not any((here / name).is_file() for name in WANTED):
        raise UserError(_empty(f"{repo} at {revision}", left))
    return Place(here, f"hf:{repo}{'/' + folder if folder else ''}@{root.name}", left)


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _of_bucket(source: str, folder: Path) -> Place:
    parts = urlsplit(source)
    options = dict(parse_qsl(parts.query))
    if not parts.netloc or (unknown := options.keys() - {"endpoint", "region"}):
        what = f"{min(unknown)!r} is no setting" if parts.netloc else "it names no bucket"
        raise UserError(
            f"{shown(source)} is no place in a bucket ({what}); write s3://BUCKET/PREFIX, and "
            "?endpoint=URL for "
            "others than Amazon's."
        )
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError:
        raise UserError(
            "s3:// needs the package obstore, which is not installed; install it with `pip install "
            "obstore`, or "
            "copy the folder here and push that."
        ) from None
    # Given as None, obstore refuses it.
    endpoint: dict[str, Any] = {"endpoint": options["endpoint"]} if options.get("endpoint") else {}
    left = []
    try:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            **endpoint,
            region=options.get("region") or os.environ.get("AWS_REGION") or "us-east-1",
            client_options={"allow_http": options.get("endpoint", "").startswith("http://")},
            retry_config={"max_retries": 3},
        )
        found = obstore.list_with_delimiter(store)
        for entry in found["objects"]:
            name = entry["path"].rpartition("/")[2]
            if name not in WANTED:
                left.append(name)
                continue
            if entry["size"] > MOST_BYTES:
                raise UserError(
                    f"{name} in {shown(source)} has {entry['size']} bytes, where {MOST_BYTES} go."
                )
            with (folder / name).open("xb") as file:
                for block in obstore.get(store, entry["path"]).stream():
                    file.write(block)
        left += [f"{prefix.rstrip('/').rpartition('/')[2]}/" for prefix in found["common_prefixes"]]
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{shown(source)} could not be read ({shown(reason, 200)}); check the bucket's name, "
            "AWS_REGION and "
            "the AWS_ACCESS_KEY_ID of this shell."
        ) from None
    if not any(folder.iterdir()):
        raise UserError(_empty(shown(source), tuple(sorted(left))))
    plain = f"s3://{parts.netloc}/{parts.path.strip('/')}"
    return Place(folder, plain, tuple(sorted(left)))


def _empty(where: str, left: tuple[str, ...]) -> str:
    pickles = [name for name in left if name.endswith((".bin", ".pt", ".pth"))]
    if pickles:
        return (
            f"{where} holds no safetensors, and {shown(pickles[0])} is a pickle, which may run any code "
            "when it is "
            "read; convert it where you trust it, and push the folder."
        )
    folders = [name for name in left if name.endswith("/") or "/" in name]
    if folders:
        inner = ", ".join(sorted({name.partition("/")[0] for name in folders})[:8])
        return f"{where} holds no adapter itself; name one of its folders: {shown(inner, 200)}."
    return f"{where} holds no adapter; it has {shown(', '.join(left[:6]) or 'nothing', 200)}."
