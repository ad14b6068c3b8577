"""All findings, in the order in which a person would look."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.bases import find_base
from data.errors import UserError
from data.home import key_file
from data.limits import LORA_RANKS
from serve.doctor import kernels, machine, packages, room, server, storage
from serve.doctor.finding import Finding, ok, problem
from serve.doctor.room import Asked


@dataclass(frozen=True)
class Patient:
    """What `serve up` would be started with."""

    host: str
    port: int
    base: str
    asked: Asked
    registry: Path
    database: str | None
    blobs: str | None


def examine(patient: Patient) -> Iterator[Finding]:
    kind, here = packages.engine(), machine.look()
    health = server.health_of(patient.host, patient.port)
    yield from packages.findings()
    yield from machine.findings(here, kind, patient.registry)
    yield from _base(patient, here, kind, running=health is not None)
    yield from storage.findings(patient.registry, patient.database, patient.blobs)
    yield from server.findings(
        health, patient.host, patient.port, key_file(patient.registry, patient.database)
    )


def _base(patient: Patient, here: machine.Machine, kind: str | None, running: bool) -> Iterator[Finding]:
    asked = patient.asked
    if asked.max_lora_rank not in LORA_RANKS:
        yield problem("adapters", f"--max-lora-rank {asked.max_lora_rank} is not one of {LORA_RANKS}.")
        return
    try:
        folder = find_base(patient.base)
    except UserError as error:
        yield problem("base", str(error))
        return
    if folder is None:
        yield problem(
            "base", f"There is no base {patient.base!r} here; get it with `finetune base {patient.base}`."
        )
        return
    yield ok("base", f"{folder.name}, in {folder}.")
    try:
        yield from kernels.findings(folder, here, kind)
        if not running:  # what is free is what it left
            yield from room.findings(folder, asked, here, kind)
    except (OSError, ValueError, KeyError, UserError) as error:
        yield problem("base", f"{folder} is not whole ({type(error).__name__}: {error}); build it again.")
