"""GET /v1/models and /health: what is served, and whether it can be."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from serve.errors import ApiError

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    """200 while the engine answers; 503 once it has died."""
    state = request.app.state
    if not state.engine.healthy:
        raise ApiError(
            "The engine has stopped; start the server again.",
            status=503,
            code="engine_dead",
            type="server_error",
        )
    base = state.settings.base
    return {"status": "ok", "base": base.name, "fingerprint": base.fingerprint}


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The base, and every version that an alias names, as OpenAI lists models."""
    state = request.app.state
    base = state.settings.base.name
    cards: list[dict[str, Any]] = [{"id": base, "object": "model", "created": 0, "owned_by": "enxerto"}]
    for reference, version in await asyncio.to_thread(state.registry.served):
        cards.append(
            {
                "id": reference,
                "object": "model",
                "created": int(version.created.timestamp()),
                "owned_by": "enxerto",
                "parent": base,
                "version": version.number,
                "digest": version.digest,
                "state": state.lifecycle.state_of(version),
            }
        )
    return {"object": "list", "data": cards}
