"""/v1/adapters/{adapter}/aliases: which version a name means."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from data.manifest import one_line
from serve.auth import KeyFirst, Pushing
from serve.errors import ApiError
from serve.registry.records import Aim
from serve.routes.parameters import MAX_NUMBER, Alias, Name, example

router = APIRouter(tags=["adapters"], route_class=KeyFirst)

Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Reason = Annotated[str, Field(min_length=3, max_length=500), AfterValidator(one_line)]


class AliasMove(BaseModel):
    """`version` null removes the alias. With a `weight`, the version becomes the alias's canary, for so many
    percent of its requests; the others stay where they are. `expected`, where it is sent, is what the alias
    must point to now; null is nothing. `override` is why it moves without the reports that its policy asks
    for; the history keeps it."""

    model_config = ConfigDict(extra="forbid") | example(version=4, weight=10, expected=3)
    version: Number | None
    weight: Annotated[int, Field(ge=1, le=99)] | None = None
    expected: Number | None = None
    override: Reason | None = None


class AliasCard(BaseModel):
    """`weight` percent of the requests are for version `canary`, where there is one. `previous` is the
    version that the alias pointed to, where the server knows."""

    model_config = example(name="support", alias="default", version=3, canary=4, weight=10, previous=3)
    name: str
    alias: str
    version: int | None
    canary: int | None = None
    weight: int | None = None
    previous: int | None = None


@router.get("/v1/adapters/{adapter}/aliases/{alias}")
async def show_alias(adapter: Name, alias: Alias, request: Request, key: Pushing) -> AliasCard:
    """Where an alias points now; `version` is null where it points to nothing."""
    aim = await asyncio.to_thread(request.app.state.registry.alias, adapter, alias)
    return _card(adapter, alias, aim)


@router.put("/v1/adapters/{adapter}/aliases/{alias}")
async def move_alias(
    adapter: Name, alias: Alias, body: Annotated[AliasMove, Body()], request: Request, key: Pushing
) -> AliasCard:
    """Point an alias, or a part of its requests, to a version, once that version answers; `expected` makes it
    compare-and-swap. Where the alias has a policy, the version's reports must answer it."""
    state = request.app.state
    if body.version is None and body.weight is not None:
        raise ApiError("weight is the share of a version; name the version too.", param="weight")
    if body.version is not None:
        version = await asyncio.to_thread(state.registry.resolve, f"{adapter}@{body.version}")
        await state.lifecycle.ensure_ready(version)
    expected = body.expected if "expected" in body.model_fields_set else "any"
    if body.version is not None and body.weight is not None:
        aim = await asyncio.to_thread(
            state.registry.split,
            adapter,
            alias,
            body.version,
            body.weight,
            expected,
            key.name,
            body.override,
        )
        return _card(adapter, alias, aim)
    await asyncio.to_thread(
        state.registry.set_alias, adapter, alias, body.version, expected, key.name, body.override
    )
    return AliasCard(name=adapter, alias=alias, version=body.version)


@router.post("/v1/adapters/{adapter}/aliases/{alias}/rollback")
async def roll_back(adapter: Name, alias: Alias, request: Request, key: Pushing) -> AliasCard:
    """Point an alias to where it was before its last move, without a canary of now; a second rollback undoes
    the first."""
    state = request.app.state
    before, now = await asyncio.to_thread(state.registry.roll_back, adapter, alias, key.name)
    return _card(adapter, alias, now, previous=before.number)


def _card(adapter: str, alias: str, aim: Aim | None, previous: int | None = None) -> AliasCard:
    if aim is None:
        return AliasCard(name=adapter, alias=alias, version=None)
    return AliasCard(
        name=adapter,
        alias=alias,
        version=aim.number,
        canary=aim.canary,
        weight=aim.weight,
        previous=previous,
    )
