"""What an alias asks for before it moves, and the reports that answer it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel

from data.policy import Policy
from data.report import NewEvidence
from serve.auth import Administering, KeyFirst, Pushing
from serve.errors import ApiError
from serve.registry.records import checked_name
from serve.registry.reports import brief
from serve.routes.cards import ReportCard, report_card
from serve.routes.parameters import DIGEST, Alias, Name, Number, example

router = APIRouter(tags=["adapters"], route_class=KeyFirst)

_RULE: dict[str, Any] = {"name": "quickstart", "digest": None, "most_worse": 0.02, "tasks": {}}
_POLICY = {"suites": [_RULE], "adopted": "probes"}


_ADAPTER = {"name": "support", "version": 4, "digest": DIGEST}
_MODEL = {
    "name": "support@4",
    "model": "support@4",
    "adapter": _ADAPTER,
    "base": "base",
    "fingerprint": DIGEST,
}
_SCORE = {"task": "known tools", "measure": "accuracy", "value": 0.7, "low": 0.6, "high": 0.8, "n": 72}
_EVIDENCE: dict[str, Any] = {
    "report": DIGEST,
    "suite": "quickstart",
    "suite_digest": DIGEST,
    "models": [_MODEL],
    "finished": "2026-05-04T09:40:00Z",
    "metrics": [_SCORE | {"model": "support@4", "unscored": 0}],
    "differences": [_SCORE | {"model": "support@4", "against": "base"}],
}


class NewPolicy(Policy):
    model_config = example(**_POLICY)


class NewReport(NewEvidence):
    model_config = example(**_EVIDENCE)


class PolicyCard(BaseModel):
    """`policy` is null where the alias moves without being asked for anything."""

    model_config = example(name="support", alias="default", policy=_POLICY)
    name: str
    alias: str
    policy: Policy | None


@router.get("/v1/adapters/{adapter}/aliases/{alias}/policy")
async def show_policy(adapter: Name, alias: Alias, request: Request, key: Pushing) -> PolicyCard:
    """What an alias asks for before it moves to a version."""
    policies = request.app.state.registry.storage.policies
    policy = await asyncio.to_thread(policies.find, checked_name(adapter), checked_name(alias, "alias"))
    return PolicyCard(name=adapter, alias=alias, policy=policy)


@router.put("/v1/adapters/{adapter}/aliases/{alias}/policy")
async def set_policy(
    adapter: Name, alias: Alias, body: Annotated[NewPolicy, Body()], request: Request, key: Administering
) -> PolicyCard:
    """Have an alias ask for reports on these suites, against the version that it means by then."""
    return await _keep(adapter, alias, body, request, key.name)


@router.delete("/v1/adapters/{adapter}/aliases/{alias}/policy")
async def remove_policy(adapter: Name, alias: Alias, request: Request, key: Administering) -> PolicyCard:
    """Have an alias ask for nothing."""
    return await _keep(adapter, alias, None, request, key.name)


@router.post("/v1/adapters/{adapter}/versions/{version}/reports", status_code=201)
async def add_report(
    adapter: Name, version: Number, body: Annotated[NewReport, Body()], request: Request, key: Pushing
) -> ReportCard:
    """Know an evaluation in which this very version answered."""
    registry = request.app.state.registry
    found = await asyncio.to_thread(registry.find, f"{adapter}@{version}")
    if found.digest not in {one.version for one in body.models}:
        asked = ", ".join(one.model[:100] for one in body.models[:5])
        raise ApiError(
            f"the report is on {asked or 'nothing'}, not on {found.reference} ({found.digest[:19]}); "
            "evaluate that version.",
            param="models",
        )
    kept = await asyncio.to_thread(registry.storage.reports.keep, adapter, version, body, key.name)
    return report_card(brief(kept))


async def _keep(adapter: str, alias: str, policy: Policy | None, request: Request, by: str) -> PolicyCard:
    name, checked = checked_name(adapter), checked_name(alias, "alias")
    await asyncio.to_thread(request.app.state.registry.storage.policies.keep, name, checked, policy, by)
    return PolicyCard(name=adapter, alias=alias, policy=policy)
