"""`finetune base`: a name of the catalogue, a folder, or `owner/repo@revision` becomes a base folder.

A base folder lies under `$ENXERTO_HOME/bases` (`data.bases` says under which name) and holds the model's
files and `base.json`. It appears in one rename when it is complete, so whatever is found there is whole.
"""

import json
import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.bases import find_base, folder_of, hub_place, linked_place, must_come_from, repo_of
from data.errors import UnknownBaseError, UserError
from data.home import base_folder
from data.manifest import BaseManifest, read_base
from finetune.base import catalogue
from finetune.render import renderer_id
from finetune.staging import staging

Say = Callable[[str], None]


def find(reference: str) -> Path:
    """The folder of a base that is already here; UserError that names the command to get it otherwise."""
    if folder := _here(reference):
        _renew(folder)
        return folder
    known = catalogue.load()
    if reference not in known and folder_of(reference) is None and repo_of(reference) is None:
        near = get_close_matches(reference, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known bases: {', '.join(known)}."
        raise UnknownBaseError(f"base {reference!r} is not known; {hint}")
    raise UserError(
        f"base {reference!r} is not on this machine yet; get it with `finetune base {reference}`."
    )


def resolve(reference: str, say: Say) -> Path:
    """The base folder of `reference`, built, downloaded or linked if it is not there yet."""
    if folder := _here(reference):
        base = _renew(folder)
        say(f"{base.name} is ready: {base.fingerprint[:19]} in {folder}")
        return folder
    entry = catalogue.load().get(reference)
    if entry is not None and entry.build is not None:
        from finetune.base.build import build

        with staging(base_folder(reference)) as stage:
            build(reference, entry.build, stage, say)
        return base_folder(reference)
    if entry is not None and entry.hub is not None:
        name, place = reference, base_folder(reference)
        source, facts = _download(entry.hub, say)
    elif (source_folder := folder_of(reference)) is not None:
        name, place = source_folder.name.lower() or "base", linked_place(source_folder)
        source, facts = source_folder, {"folder": str(source_folder)}
    elif repo := repo_of(reference):
        name, place = repo.repo, hub_place(repo)
        source, facts = _download(catalogue.Hub(repo=repo.repo, revision=repo.revision), say)
    else:
        return find(reference)
    with staging(place) as stage:
        _link(source, stage, name, facts, say)
    return place


def _here(reference: str) -> Path | None:
    """The base's folder; UserError where what lies there came from another repository than the name's own."""
    folder, entry = find_base(reference), catalogue.load().get(reference)
    if folder and entry and entry.hub and folder == base_folder(reference):
        must_come_from(folder, entry.hub.repo, reference)
    return folder


def _renew(folder: Path) -> BaseManifest:
    """The base's manifest; written again where this version renders in another way than the one before.

    The weights stay as they are, but the base is another one for an adapter: its fingerprint changes.
    """
    base = read_base(folder)
    now = renderer_id(folder)
    if base.identity.renderer == now:
        return base
    identity = base.identity.model_copy(update={"renderer": now})
    renewed = base.model_copy(
        update={"identity": identity, "fingerprint": BaseManifest.fingerprint_of(identity)}
    )
    write_manifest(folder, renewed)
    return renewed


def write_manifest(folder: Path, manifest: BaseManifest) -> None:
    """`base.json` in one rename, so that nobody reads half of it."""
    partial = folder / f".base.json.{os.getpid()}"
    partial.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / "base.json")


def _link(source: Path, stage: Path, name: str, facts: dict[str, Any], say: Say) -> None:
    """Make `stage` a base out of files that stay where they are."""
    from finetune.base.identity import describe, read_config

    read_config(source)
    for path in source.iterdir():
        if path.is_file():
            (stage / path.name).symlink_to(path.resolve())
    _extract_template(stage)
    say(f"reading the weights of {name} for its fingerprint")
    write_manifest(stage, describe(stage, name, facts, quality={}))


def _extract_template(stage: Path) -> None:
    """Older models keep the chat template inside tokenizer_config.json; give it a file of its own."""
    settings = stage / "tokenizer_config.json"
    target = stage / "chat_template.jinja"
    if target.exists() or not settings.is_file():
        return
    template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
    if isinstance(template, str):
        target.write_text(template, encoding="utf-8")


def _download(hub: catalogue.Hub, say: Say) -> tuple[Path, dict[str, Any]]:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    say(f"downloading {hub.repo} at {hub.revision} from the Hugging Face hub")
    facts = {"repo": hub.repo}
    try:
        folder = Path(
            snapshot_download(
                hub.repo,
                revision=hub.revision,
                allow_patterns=["*.json", "*.safetensors", "*.jinja", "tokenizer*", "README.md", "LICENSE*"],
            )
        )
        if hub.tekken_repo and not (folder / "tekken.json").is_file():
            tekken = hf_hub_download(hub.tekken_repo, "tekken.json", revision=hub.tekken_revision)
            (folder / "tekken.json").symlink_to(Path(tekken).resolve())
            facts["tekken"] = f"{hub.tekken_repo}@{hub.tekken_revision}"
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{hub.repo} at {hub.revision} could not be had from the hub ({reason}); check the network,"
            " the name and HF_TOKEN, or give the path of a folder that holds it."
        ) from None
    return folder, facts | {"revision": folder.name}
