"""How adapters, their versions and the moves of their aliases are shown."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from data.report import Difference
from serve.registry.folders import ENGINE
from serve.registry.records import Adapter, Move, Version
from serve.registry.reports import Brief
from serve.routes.parameters import DIGEST, example

_VERSION = {
    "version": 3,
    "digest": DIGEST,
    "rank": 16,
    "size": 19_588_159,
    "base": DIGEST,
    "state": "ready",
    "created": "2026-05-04T09:30:00Z",
    "pushed_by": "training",
    "pinned": False,
    "adopted": None,
}
_REPORT = {
    "report": DIGEST,
    "suite": "quickstart",
    "suite_digest": DIGEST,
    "time": "2026-05-04T09:40:00Z",
    "by": "training",
    "differences": [],
    "more": 0,
}
_DETAIL = _VERSION | {
    "files": {"adapter_config.json": DIGEST, "adapter_model.safetensors": DIGEST, "manifest.json": DIGEST},
    "provenance": {"recipe": DIGEST, "training": {"loss": 0.71}},
    "loaded": ["http://127.0.0.1:8321"],
    "held_by": ["default"],
    "was": ["canary"],
    "parity": [{"engine": "vllm 0.32.0 cpu torch.bfloat16", "why": None, "found": {"effect": 0.41}}],
    "reports": [_REPORT],
}
_MOVE = {
    "sequence": 12,
    "alias": "default",
    "previous": 3,
    "version": 3,
    "canary": 4,
    "weight": 10,
    "time": "2026-05-04T09:30:02Z",
    "by": "training",
    "override": None,
    "reports": [DIGEST],
}
_CANARY = {"version": 4, "weight": 10}
_ADAPTER = {
    "name": "support",
    "aliases": {"default": 3},
    "canaries": {"default": _CANARY},
    "versions": [_VERSION],
}


class VersionCard(BaseModel):
    """One version; `size` is in bytes, of all of its files; `adopted` is where one that was trained elsewhere
    was taken from."""

    model_config = example(**_VERSION)
    version: int
    digest: str
    rank: int
    size: int
    base: str
    state: str
    created: datetime
    pushed_by: str | None
    pinned: bool
    adopted: str | None = None
    removed: datetime | None = None
    removed_by: str | None = None


class ParityCard(BaseModel):
    """Whether an engine says what the trainer's model said: `why` not, and what was `found`, in nats."""

    engine: str
    why: str | None = None
    found: dict[str, Any]


class ReportCard(BaseModel):
    """An evaluation: the digest of what was found, and how the version did beside others on whole tasks; of
    its comparisons `more` are not shown."""

    model_config = example(**_REPORT)
    report: str
    suite: str
    suite_digest: str
    time: datetime
    by: str | None
    differences: list[Difference]
    more: int


class VersionDetail(VersionCard):
    """`loaded` are the servers whose engine holds it, `held_by` the aliases that point to it and `was` those
    that did; `provenance` is base, data, recipe, code and metrics; `parity` is what came of its probes, and
    `reports` are its evaluations among the adapter's newest, the newest first."""

    model_config = example(**_DETAIL)
    files: dict[str, str]
    provenance: dict[str, Any]
    loaded: list[str]
    held_by: list[str]
    was: list[str]
    parity: list[ParityCard]
    reports: list[ReportCard]


class CanaryCard(BaseModel):
    """`weight` percent of an alias's requests are for this version."""

    model_config = example(**_CANARY)
    version: int
    weight: int


class AdapterCard(BaseModel):
    """`canaries` are by alias, for those that have one."""

    model_config = example(**_ADAPTER)
    name: str
    aliases: dict[str, int]
    canaries: dict[str, CanaryCard]
    versions: list[VersionCard]


class AdapterList(BaseModel):
    """`next` is what to send as `after` for the page behind this one; null on the last page."""

    model_config = example(object="list", data=[_ADAPTER], next="translate")
    object: str = "list"
    data: list[AdapterCard]
    next: str | None = None


class MoveCard(BaseModel):
    """`alias` went from version `previous` (null: it was new) to `version` (null: it was removed), but for
    `weight` percent of its requests to `canary`. `reports` are those that its gate looked at, `override`
    is why it moved whatever they said."""

    model_config = example(**_MOVE)
    sequence: int
    alias: str
    previous: int | None
    version: int | None
    canary: int | None
    weight: int | None
    time: datetime
    by: str | None
    override: str | None = None
    reports: list[str] = []


class AdapterHistory(BaseModel):
    model_config = example(**_ADAPTER | {"versions": [_DETAIL], "history": [_MOVE]})
    name: str
    aliases: dict[str, int]
    canaries: dict[str, CanaryCard]
    versions: list[VersionDetail]
    history: list[MoveCard]


def adapter_card(adapter: Adapter, state: Any) -> AdapterCard:
    versions = [version_card(version, state) for version in adapter.versions]
    return AdapterCard(
        name=adapter.name, aliases=adapter.aliases, canaries=_canaries(adapter), versions=versions
    )


def _canaries(adapter: Adapter) -> dict[str, CanaryCard]:
    return {
        alias: CanaryCard(version=aim.canary, weight=aim.weight)
        for alias, aim in adapter.aims.items()
        if aim.canary is not None and aim.weight is not None
    }


def version_card(version: Version, state: Any) -> VersionCard:
    return VersionCard(
        version=version.number,
        digest=version.digest,
        rank=version.rank,
        size=version.size,
        base=version.base_fingerprint,
        state="removed" if version.removed else state.lifecycle.state_of(version),
        created=version.created,
        pushed_by=version.pushed_by,
        pinned=version.pinned,
        adopted=version.provenance.get("adopted", {}).get("source"),
        removed=version.removed.time if version.removed else None,
        removed_by=version.removed.by if version.removed else None,
    )


def history_of(name: str, state: Any) -> AdapterHistory:
    """All that is known of one adapter; UnknownAdapter."""
    adapter = state.registry.show(name)
    moves = state.registry.history(name)
    loaded = state.registry.storage.servers.loaded()
    verdicts, details = state.registry.storage.verdicts, []
    reports = state.registry.storage.reports.of(name)
    for version in adapter.versions:
        own = {alias for alias, aim in adapter.aims.items() if version.number in aim.numbers}
        was = {move.alias for move in moves if move.aim and version.number in move.aim.numbers} - own
        details.append(
            VersionDetail(
                **version_card(version, state).model_dump(),
                files={name: blob for name, blob in version.files.items() if not name.startswith(ENGINE)},
                provenance=version.provenance,
                loaded=loaded.get(version.reference, []),
                held_by=sorted(own),
                was=sorted(was),
                parity=[ParityCard(**asdict(one)) for one in verdicts.of(version.digest)],
                reports=[report_card(one) for one in reports[version.number]],
            )
        )
    return AdapterHistory(
        name=name,
        aliases=adapter.aliases,
        canaries=_canaries(adapter),
        versions=details,
        history=[_move_card(move) for move in moves],
    )


def report_card(report: Brief) -> ReportCard:
    """What a report says of its version."""
    return ReportCard(**vars(report))


def _move_card(move: Move) -> MoveCard:
    return MoveCard(
        sequence=move.sequence,
        alias=move.alias,
        previous=move.previous,
        version=move.number,
        canary=move.aim.canary if move.aim else None,
        weight=move.aim.weight if move.aim else None,
        time=move.time,
        by=move.by,
        override=move.override,
        reports=list(move.reports),
    )
