"""/v1/adapters: what there is, and where it comes from."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from serve.auth import Administering, Pushing
from serve.errors import ApiError
from serve.registry.blobs import missing
from serve.registry.folders import ENGINE
from serve.registry.records import MissingBlob
from serve.routes.cards import AdapterHistory, AdapterList, VersionDetail, adapter_card, history_of
from serve.routes.parameters import File, Name, Number, example

router = APIRouter(tags=["adapters"])

MOST_LISTED = 1000

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class PinCard(BaseModel):
    model_config = example(name="support", version=3, pinned=True)
    name: str
    version: int
    pinned: bool


class RemovedCard(BaseModel):
    model_config = example(name="support", version=3, removed=True)
    name: str
    version: int
    removed: bool = True


@router.get("/v1/adapters")
async def list_adapters(
    request: Request,
    key: Pushing,
    after: Annotated[
        str, Query(description="Only names behind this one: the `next` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="Adapters in one answer.")] = 100,
) -> AdapterList:
    """The adapters that the key reaches, by name, with their versions and aliases, a page at a time."""
    state = request.app.state
    found = await asyncio.to_thread(state.registry.adapters, after, limit + 1, key.adapters)
    page = [adapter_card(adapter, state) for adapter in found[:limit]]
    return AdapterList(data=page, next=page[-1].name if len(found) > limit else None)


@router.get("/v1/adapters/{adapter}")
async def show_adapter(adapter: Name, request: Request, key: Pushing) -> AdapterHistory:
    """One adapter with where each version comes from, and every move of its aliases, oldest first."""
    return await asyncio.to_thread(history_of, adapter, request.app.state)


@router.get("/v1/adapters/{adapter}/versions/{version}")
async def show_version(adapter: Name, version: Number, request: Request, key: Pushing) -> VersionDetail:
    """One version, removed or not."""
    shown = await asyncio.to_thread(history_of, adapter, request.app.state)
    for one in shown.versions:
        if one.version == version:
            return one
    raise ApiError(
        f"adapter {adapter[:100]!r} has no version {version}; `serve show {adapter[:100]}` lists them.",
        status=404,
        code="model_not_found",
    )


@router.get(
    "/v1/adapters/{adapter}/versions/{version}/files/{file}",
    response_class=StreamingResponse,
    responses={200: {"content": _BYTES}},
)
async def download(
    adapter: Name, version: Number, file: File, request: Request, key: Pushing
) -> StreamingResponse:
    """One file of a version, byte for byte as it was uploaded; its digest is the `etag`."""
    registry = request.app.state.registry
    blob = await asyncio.to_thread(_blob, registry, f"{adapter}@{version}", file)
    return StreamingResponse(
        registry.storage.blobs.read(blob),
        media_type="application/octet-stream",
        headers={"etag": f'"{blob}"', "content-disposition": f'attachment; filename="{file}"'},
    )


@router.put("/v1/adapters/{adapter}/versions/{version}/pin")
async def pin(adapter: Name, version: Number, request: Request, key: Administering) -> PinCard:
    """Load a version, keep it loaded, and keep it from being removed."""
    state = request.app.state
    found = await asyncio.to_thread(state.registry.resolve, f"{adapter}@{version}")
    await state.lifecycle.ensure_ready(found)
    await asyncio.to_thread(state.registry.pin, adapter, version, True, key.name)
    return PinCard(name=adapter, version=version, pinned=True)


@router.delete("/v1/adapters/{adapter}/versions/{version}/pin")
async def unpin(adapter: Name, version: Number, request: Request, key: Administering) -> PinCard:
    """Let a version go when its slot is needed."""
    await asyncio.to_thread(request.app.state.registry.pin, adapter, version, False)
    return PinCard(name=adapter, version=version, pinned=False)


@router.delete("/v1/adapters/{adapter}/versions/{version}")
async def remove(adapter: Name, version: Number, request: Request, key: Administering) -> RemovedCard:
    """Bury a version that no alias means and no pin holds; pushing the same files again brings it back."""
    state = request.app.state
    found = await asyncio.to_thread(state.registry.show, adapter)
    await asyncio.to_thread(state.registry.remove, adapter, version, key.name)
    for one in found.versions:
        if one.number == version:
            await state.lifecycle.unload(one)
    return RemovedCard(name=adapter, version=version)


def _blob(registry: Any, reference: str, file: str) -> str:
    """The digest of a version's file, whose bytes are in the store."""
    version = registry.find(reference)
    blob = version.files.get(file)
    if blob is None or file.startswith(ENGINE):
        names = ", ".join(name for name in version.files if not name.startswith(ENGINE))
        raise ApiError(
            f"version {reference} has no file {file[:100]!r}; it has {names}.",
            status=404,
            code="file_not_found",
        )
    if not registry.storage.blobs.has(blob):
        raise MissingBlob(missing(blob))
    return str(blob)
