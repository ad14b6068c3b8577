"""GET /metrics: what Prometheus collects, for every key as far as it reaches."""

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from serve.auth import Chatting
from serve.registry.records import StorageBusy, UnknownAdapter

router = APIRouter(tags=["metrics"])

_EXAMPLE = 'enxerto_requests_total{adapter="support",version="3"} 128.0\n'
_ANSWER: dict[str, Any] = {
    "description": "Prometheus's text format, version 0.0.4.",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
}


@router.get("/metrics", response_class=Response, responses={200: _ANSWER})
async def metrics(request: Request, key: Chatting) -> Response:
    """Metrics of this server, of the base, and of every adapter that the key reaches.

    Any key may read them, so that a collector needs no more than the scope `chat`.
    """
    state = request.app.state
    kept = state.watch.metrics
    kept.drop(await asyncio.to_thread(_removed, state.registry, kept.versions()))
    kept.look(state.lifecycle.loaded(), state.engine.slots, state.engine.trouble is None)
    # Thousands of lines may be some tens of milliseconds, in which no stream should wait.
    own = None if key.may("admin") else key.name
    text = await asyncio.to_thread(kept.text, key.reaches, own)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _removed(registry: Any, references: list[str]) -> list[str]:
    """Those of the versions that the registry no longer has, on whichever server they were removed."""
    return [reference for reference in references if _is_gone(registry, reference)]


def _is_gone(registry: Any, reference: str) -> bool:
    with suppress(StorageBusy):  # then it may be there
        try:
            registry.find(reference)
        except UnknownAdapter:
            return True
    return False
