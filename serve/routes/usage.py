"""/v1/usage: who used how much of what."""

import asyncio
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from serve.auth import Chatting
from serve.routes.parameters import example

router = APIRouter(tags=["keys"])

_ROW = {
    "day": "2026-05-04",
    "key": "shop",
    "adapter": "support",
    "requests": 12,
    "prompt_tokens": 3400,
    "completion_tokens": 560,
}


class UsageRow(BaseModel):
    """A day is UTC's; `adapter` null is the base, or nothing that could be resolved."""

    model_config = example(**_ROW)
    day: date
    key: str
    adapter: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int


class UsageList(BaseModel):
    model_config = example(object="list", data=[_ROW])
    object: str = "list"
    data: list[UsageRow]


@router.get("/v1/usage")
async def usage(
    request: Request,
    key: Chatting,
    days: Annotated[int, Query(ge=1, le=366, description="Today and the days before it.")] = 30,
) -> UsageList:
    """Requests and tokens by day, key and adapter, the newest first: all to `admin`, else one's own."""
    kept = request.app.state.registry.storage.usage
    await asyncio.to_thread(kept.write)
    found = await asyncio.to_thread(kept.of, None if key.may("admin") else key.name, days)
    return UsageList(data=[UsageRow(**vars(one)) for one in found])
