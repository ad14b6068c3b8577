"""GET /v1/models and /health: what is served, and whether it can be."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from serve.auth import Chatting
from serve.registry.rollout import Route
from serve.routes.parameters import DIGEST, example

router = APIRouter(tags=["models"])

_BASE = {"id": "smollm2-135m-instruct-awq", "object": "model", "created": 0, "owned_by": "enxerto"}
_ADAPTER = _BASE | {
    "id": "support",
    "created": 1_777_887_000,
    "parent": _BASE["id"],
    "version": 3,
    "digest": DIGEST,
    "state": "ready",
    "canary": {"version": 4, "digest": DIGEST, "state": "ready", "weight": 10},
}


class Health(BaseModel):
    """`fingerprint` is what an adapter for this base has in its manifest."""

    model_config = example(status="ok", base=_BASE["id"], fingerprint=DIGEST)
    status: str
    base: str
    fingerprint: str


class CanaryModel(BaseModel):
    """The version that `weight` percent of a model's requests are for."""

    version: int
    digest: str
    state: str
    weight: int


class ModelCard(BaseModel):
    """OpenAI's fields; `parent` and those below it are there for adapters, `canary` for those with one."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "enxerto"
    parent: str | None = None
    version: int | None = None
    digest: str | None = None
    state: str | None = None
    canary: CanaryModel | None = None


class ModelList(BaseModel):
    model_config = example(object="list", data=[_BASE, _ADAPTER])
    object: str = "list"
    data: list[ModelCard]


@router.get("/health")
async def health(request: Request) -> Health:
    """200 while the engine answers; 503 while it starts again after its death, or once it is given up."""
    state = request.app.state
    if trouble := state.engine.trouble:
        raise trouble
    base = state.settings.base
    return Health(status="ok", base=base.name, fingerprint=base.fingerprint)


@router.get("/v1/models", response_model_exclude_none=True)
async def models(request: Request, key: Chatting) -> ModelList:
    """The base, and every version that an alias names and the key reaches, as OpenAI lists models."""
    state = request.app.state
    base = state.settings.base.name
    cards = [ModelCard(id=base, created=0)]
    for route in await asyncio.to_thread(state.registry.served):
        version = route.version
        if not key.reaches(version.name):
            continue
        cards.append(
            ModelCard(
                id=route.name,
                created=int(version.created.timestamp()),
                parent=base,
                version=version.number,
                digest=version.digest,
                state=state.lifecycle.state_of(version),
                canary=_canary(route, state),
            )
        )
    return ModelList(data=cards)


def _canary(route: Route, state: Any) -> CanaryModel | None:
    if route.canary is None:
        return None
    return CanaryModel(
        version=route.canary.number,
        digest=route.canary.digest,
        state=state.lifecycle.state_of(route.canary),
        weight=route.weight,
    )
