"""A repository folder for a model hub: the adapter's own files, and a card that says how to use them."""

import shutil
from pathlib import Path

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES, OPTIONAL_FILES, adapter_digest
from data.probes import FILE as PROBES
from data.report import Evidence, read_report
from finetune.leave.hub_card import card
from finetune.leave.source import Source
from finetune.progress import Step

REPORT, CARD = "report.json", "README.md"

NOTE = (
    "manifest.json names the files that the adapter learned from, and probes.json holds tokens of a few of"
    " their prompts: look at both before you make the repository public."
)


def evidence(source: Source, report: Path | None) -> Evidence | None:
    """What an evaluation found of this very adapter; UserError where the report is on others.

    `report` is given, or lies in the adapter's folder; None where there is none.
    """
    inside = source.folder / REPORT
    path = report or (inside if inside.is_file() else None)
    if path is None:
        return None
    read = read_report(path)
    digests = {name: digest.of_file(source.folder / name) for name in _files(source.folder)}
    without = {name: value for name, value in digests.items() if name != REPORT}
    versions = (adapter_digest(without), adapter_digest(digests))
    known = next((one for one in versions if any(model.version == one for model in read.models)), None)
    if known is None:
        asked = ", ".join(one.name for one in read.models)
        raise UserError(
            f"{path} is on {asked}, and not on the adapter in {source.folder} ({versions[0][:19]}); push that"
            " folder as it is, evaluate it with `finetune eval`, and give that report."
        )
    return read.evidence(known)


def size(source: Source) -> int:
    """Bytes of the folder, with a bound for the card."""
    return sum((source.folder / name).stat().st_size for name in _files(source.folder)) + 2**16


def kept(source: Source) -> list[str]:
    """The files that go into the repository as they are."""
    return [name for name in (*ADAPTER_FILES, PROBES) if (source.folder / name).is_file()]


def write(source: Source, found: Evidence | None, repo: str | None, stage: Path, step: Step) -> None:
    """Fill `stage` with the repository; `repo` is the name that it will have, where that is known."""
    for name in kept(source):
        step(name)
        shutil.copyfile(source.folder / name, stage / name)
    step(CARD)
    (stage / CARD).write_text(card(source, found, repo), encoding="utf-8")


def _files(folder: Path) -> list[str]:
    """The names of what `serve push` sends of an adapter."""
    return [*ADAPTER_FILES, *(name for name in OPTIONAL_FILES if (folder / name).is_file())]
