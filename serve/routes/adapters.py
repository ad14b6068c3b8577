"""/v1/adapters and /v1/uploads: from files on a client's disk to a version that answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from data.errors import UserError
from data.manifest import FileEntry
from serve.errors import ApiError
from serve.registry import base_modules, validate
from serve.registry.records import Adapter, Version
from serve.registry.staging import Upload

BLOCK_BYTES = 2**20
"""How much of a file is hashed and written at a time, in a thread: the loop has streams to serve."""

router = APIRouter()


class NewUpload(BaseModel):
    """The digests and sizes of the files to come, and the aliases to move once the adapter answers."""

    model_config = ConfigDict(extra="forbid")
    files: dict[str, FileEntry]
    aliases: list[str] = Field(default=[], max_length=16)


class OpenUpload(BaseModel):
    """`missing` are the files to send; the others are in the store already."""

    upload: str
    missing: list[str]


class Committed(BaseModel):
    name: str
    version: int
    digest: str
    state: str
    aliases: list[str]


class VersionCard(BaseModel):
    version: int
    digest: str
    rank: int
    base: str
    state: str
    created: datetime


class AdapterCard(BaseModel):
    name: str
    aliases: dict[str, int]
    versions: list[VersionCard]


class MoveCard(BaseModel):
    """`alias` went from version `previous` (null: it was new) to `version`."""

    sequence: int
    alias: str
    previous: int | None
    version: int
    time: datetime


class AdapterHistory(AdapterCard):
    history: list[MoveCard]


class AdapterList(BaseModel):
    object: str = "list"
    data: list[AdapterCard]


class AliasMove(BaseModel):
    """`expected`, where it is sent, is the version that the alias must point to now; null is none."""

    model_config = ConfigDict(extra="forbid")
    version: int
    expected: int | None = None


class AliasCard(BaseModel):
    name: str
    alias: str
    version: int


@router.post("/v1/adapters/{name}/uploads", status_code=201)
async def create_upload(name: str, body: Annotated[NewUpload, Body()], request: Request) -> OpenUpload:
    """Announce an adapter's files."""
    if request.app.state.settings.names_base(name):
        raise ApiError(f"{name!r} is the base's name; push the adapter under another.", code="name_taken")
    upload = Upload(name=name, files=body.files, aliases=body.aliases)
    identity, missing = await asyncio.to_thread(request.app.state.registry.staging.create, upload)
    return OpenUpload(upload=identity, missing=missing)


@router.put("/v1/uploads/{upload}/{file}", status_code=204)
async def put_file(upload: str, file: str, request: Request) -> Response:
    """Send one file as the raw body; size and digest are checked while it streams."""
    with await asyncio.to_thread(request.app.state.registry.staging.receive, upload, file) as incoming:
        async for block in _blocks(request.stream()):
            await asyncio.to_thread(incoming.write, block)
        await asyncio.to_thread(incoming.finish)
    return Response(status_code=204)


@router.post("/v1/uploads/{upload}/commit")
async def commit(upload: str, request: Request) -> Committed:
    """Check the adapter, keep it, load it into the running engine, and only then move the aliases."""
    state = request.app.state
    announced, version = await asyncio.to_thread(_keep, upload, state)
    try:
        await state.lifecycle.ensure_ready(version)
    except UserError as error:
        raise ApiError(
            f"{error} Version {version.number} of {version.name!r} is stored, but no alias was moved to it.",
            status=422,
            code="adapter_failed",
        ) from error
    await asyncio.to_thread(state.registry.set_aliases, version.name, announced.aliases, version.number)
    return Committed(
        name=version.name,
        version=version.number,
        digest=version.digest,
        state=state.lifecycle.state_of(version),
        aliases=announced.aliases,
    )


@router.get("/v1/adapters")
async def list_adapters(request: Request) -> AdapterList:
    """Every adapter with its versions and aliases."""
    state = request.app.state
    found = await asyncio.to_thread(state.registry.adapters)
    return AdapterList(data=[AdapterCard(**_card(adapter, state)) for adapter in found])


@router.get("/v1/adapters/{name}")
async def show_adapter(name: str, request: Request) -> AdapterHistory:
    """One adapter, with every move of its aliases, oldest first."""
    state = request.app.state
    adapter = await asyncio.to_thread(state.registry.show, name)
    moves = [
        MoveCard(
            sequence=move.sequence,
            alias=move.alias,
            previous=move.previous,
            version=move.number,
            time=move.time,
        )
        for move in await asyncio.to_thread(state.registry.history, name)
    ]
    return AdapterHistory(**_card(adapter, state), history=moves)


@router.put("/v1/adapters/{name}/aliases/{alias}")
async def move_alias(
    name: str, alias: str, body: Annotated[AliasMove, Body()], request: Request
) -> AliasCard:
    """Point an alias to a version, once that version answers; `expected` makes it compare-and-swap."""
    state = request.app.state
    version = await asyncio.to_thread(state.registry.resolve, f"{name}@{body.version}")
    await state.lifecycle.ensure_ready(version)
    expected = body.expected if "expected" in body.model_fields_set else "any"
    await asyncio.to_thread(state.registry.set_alias, name, alias, body.version, expected)
    return AliasCard(name=name, alias=alias, version=body.version)


def _keep(upload: str, state: Any) -> tuple[Upload, Version]:
    settings, registry = state.settings, state.registry
    modules = base_modules.read(settings.folder)
    with registry.staging.commit(upload) as (announced, files):
        checked = validate.check(files, settings.base, modules, settings.max_lora_rank)
        return announced, registry.add(announced.name, checked)


async def _blocks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces."""
    block = bytearray()
    async for chunk in stream:
        block += chunk
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _card(adapter: Adapter, state: Any) -> dict[str, Any]:
    versions = [
        VersionCard(
            version=version.number,
            digest=version.digest,
            rank=version.rank,
            base=version.base_fingerprint,
            state=state.lifecycle.state_of(version),
            created=version.created,
        )
        for version in adapter.versions
    ]
    return {"name": adapter.name, "aliases": adapter.aliases, "versions": versions}
