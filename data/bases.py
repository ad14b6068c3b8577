"""Which folder a reference to a base means: trainer and server find the same one by asking here.

A reference is a name (`smollm2-135m-instruct-awq`), a folder, or a hub's `owner/repo@revision`. Every source
has a folder of its own under `$ENXERTO_HOME/bases`, so that two never stand for each other:

- a name: `<name>`
- `owner/repo@revision`: `<owner>--<repo>@<revision>` (a hub's names hold no `--`; no revision is `main`)
- a folder: `<its last part>--<the first 12 digits of its path's digest>`
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from data.errors import UserError, shown
from data.home import base_folder, home
from data.manifest import BaseManifest, read_base

MANIFEST = "base.json"

_REPO = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w./-]*))?", re.ASCII)


@dataclass(frozen=True)
class Repo:
    """A repository of a hub, at a branch, tag or commit."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def repo_of(reference: str) -> Repo | None:
    """`owner/repo@revision` in its parts; None for a name, and for a folder that is there."""
    match = _REPO.fullmatch(reference)
    if match is None or folder_of(reference) is not None:
        return None
    return Repo(match["repo"], match["revision"] or "main")


def folder_of(reference: str) -> Path | None:
    """The folder of that path, absolute; None where there is none."""
    path = Path(reference).expanduser()
    return path.resolve() if path.is_dir() else None


def hub_place(repo: Repo) -> Path:
    """Where the base of a repository lies once it is here."""
    return base_folder(f"{repo.repo.lower().replace('/', '--')}@{quote(repo.revision, safe='')}")


def linked_place(folder: Path) -> Path:
    """Where the base lies that was made out of the files in `folder`, an absolute path."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()
    return base_folder(f"{folder.name.lower() or 'base'}--{digest[:12]}")


def find_base(reference: str) -> Path | None:
    """The folder of a whole base that is on this machine; None where it is not.

    UserError where several bases go by the name, or where another source lies in its place.
    """
    if repo := repo_of(reference):
        return _from_hub(repo, _older_place(reference))
    folder = folder_of(reference)
    if "/" in reference or reference in (".", "..", "~"):
        return _of_folder(folder, reference) if folder else None
    if _whole(base_folder(reference)):
        return base_folder(reference)
    named = _by_name(reference)
    here = _of_folder(folder, reference) if folder else None
    others = [place for place in named if here is None or not place.samefile(here)]
    if others and (folder or len(others) > 1):
        choices = [*([f"./{reference}"] if folder else []), *(place.name for place in others)]
        raise UserError(
            f"several bases go by the name {shown(reference)!r}; name the one you mean: {', '.join(choices)}."
        )
    return here or next(iter(others), None)


def with_fingerprint(fingerprint: str) -> Path | None:
    """A base on this machine that has this fingerprint, wherever it came from."""
    return next((place for place, base in _all() if base.fingerprint == fingerprint), None)


def reference_to(base: BaseManifest) -> str:
    """What `finetune base` has to be told to get this base again."""
    source = base.source
    if "folder" in source:
        return str(source["folder"])
    from_hub = "/" in base.name and "repo" in source  # a catalogue's own name says where it comes from
    return f"{source['repo']}@{source['revision']}" if from_hub else base.name


def must_come_from(place: Path, repo: str, name: str) -> None:
    """UserError where the base in `place`, which `name` stands for, is not one of `repo`."""
    if not _comes_from(place, repo):
        source = read_base(place).source
        other = source.get("repo") or source.get("folder") or source.get("package") or "another base"
        raise UserError(
            f"{place} holds {shown(str(other))}, and {name} is {repo}; remove that folder, then get"
            f" {name} with `finetune base {name}`."
        )


def _comes_from(place: Path, repo: str) -> bool:
    return str(read_base(place).source.get("repo", "")).lower() == repo.lower()


def _of_folder(folder: Path, reference: str) -> Path | None:
    """The base that `folder` is, or that was made out of it."""
    if _whole(folder):
        return folder
    for place in (linked_place(folder), _older_place(reference)):
        if _whole(place) and read_base(place).source.get("folder") == str(folder):
            return place
    return None


def _from_hub(repo: Repo, older: Path) -> Path | None:
    place = hub_place(repo)
    if _whole(place):
        must_come_from(place, repo.repo, str(repo))
        return place
    same = _whole(older) and _comes_from(older, repo.repo)
    return older if same and "/" not in repo.revision else None


def _older_place(reference: str) -> Path:
    """Where bases lay when they were known by the last part of their name: what is there keeps working."""
    return base_folder(Path(reference).name.replace("@", "--").lower() or "base")


def _by_name(name: str) -> list[Path]:
    """Bases whose manifest gives this name, or the last part of `owner/name`."""
    return [place for place, base in _all() if name in (base.name, base.name.rpartition("/")[2])]


def _all() -> list[tuple[Path, BaseManifest]]:
    """Every base here that can be read; one that is broken stands in no other's way."""
    found = []
    for path in sorted((home() / "bases").glob(f"[!.]*/{MANIFEST}")):
        with suppress(UserError):
            found.append((path.parent, read_base(path.parent)))
    return found


def _whole(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()
