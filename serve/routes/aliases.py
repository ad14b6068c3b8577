"""/v1/adapters/{adapter}/aliases: which version a name means."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field

from serve.auth import KeyFirst, Pushing
from serve.routes.parameters import MAX_NUMBER, Alias, Name, example

router = APIRouter(tags=["adapters"], route_class=KeyFirst)

Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]


class AliasMove(BaseModel):
    """`version` null removes the alias. `expected`, where it is sent, is what it must point to now; null is
    nothing."""

    model_config = ConfigDict(extra="forbid") | example(version=4, expected=3)
    version: Number | None
    expected: Number | None = None


class AliasCard(BaseModel):
    """`previous` is the version that the alias pointed to, where the server knows."""

    model_config = example(name="support", alias="default", version=4, previous=3)
    name: str
    alias: str
    version: int | None
    previous: int | None = None


@router.get("/v1/adapters/{adapter}/aliases/{alias}")
async def show_alias(adapter: Name, alias: Alias, request: Request, key: Pushing) -> AliasCard:
    """Where an alias points now; `version` is null where it points to nothing."""
    version = await asyncio.to_thread(request.app.state.registry.alias, adapter, alias)
    return AliasCard(name=adapter, alias=alias, version=version)


@router.put("/v1/adapters/{adapter}/aliases/{alias}")
async def move_alias(
    adapter: Name, alias: Alias, body: Annotated[AliasMove, Body()], request: Request, key: Pushing
) -> AliasCard:
    """Point an alias to a version, once that version answers; `expected` makes it compare-and-swap."""
    state = request.app.state
    if body.version is not None:
        version = await asyncio.to_thread(state.registry.resolve, f"{adapter}@{body.version}")
        await state.lifecycle.ensure_ready(version)
    expected = body.expected if "expected" in body.model_fields_set else "any"
    await asyncio.to_thread(state.registry.set_alias, adapter, alias, body.version, expected, key.name)
    return AliasCard(name=adapter, alias=alias, version=body.version)


@router.post("/v1/adapters/{adapter}/aliases/{alias}/rollback")
async def roll_back(adapter: Name, alias: Alias, request: Request, key: Pushing) -> AliasCard:
    """Point an alias to where it was before its last move; a second rollback undoes the first."""
    state = request.app.state
    aim = await asyncio.to_thread(state.registry.roll_back, adapter, alias, key.name)
    return AliasCard(name=adapter, alias=alias, version=aim[1], previous=aim[0])
