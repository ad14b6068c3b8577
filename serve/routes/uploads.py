"""/v1/uploads: from files on a client's disk to a version that answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from data.errors import UserError, pathless
from data.manifest import AdoptedManifest, FileEntry
from data.names import unfit
from data.probes import FILE as PROBES
from serve.adopt.probes import compute
from serve.auth import KeyFirst, Pushing, require, require_still
from serve.errors import ApiError
from serve.failpoints import reach
from serve.limits import TRICKLE_BYTES
from serve.registry import base_modules, validate
from serve.registry.keys import Key
from serve.registry.records import GateClosed, StorageBusy, StorageFull, UnknownAdapter, Version
from serve.registry.staging import Upload
from serve.routes.parameters import DIGEST, File, Name, UploadId, example
from serve.settings import Settings

BLOCK_BYTES = 2**20
"""How much of a file is hashed and written at a time, in a thread: the loop has streams to serve."""

router = APIRouter(tags=["uploads"], route_class=KeyFirst)

_SIZES = {"adapter_config.json": 721, "adapter_model.safetensors": 19_583_328, "manifest.json": 4_110}
_FILES = {name: {"sha256": DIGEST, "size": size} for name, size in _SIZES.items()}
_UPLOAD = "5f0c2f7a9d1e4b83a6c0d2e4f6a8b0c2"
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "{}"}}


class NewUpload(BaseModel):
    """The digests and sizes of the files to come, and the aliases to move once the adapter answers.

    `allow_noop` takes an adapter that changes nothing, which is otherwise a mistake.
    """

    model_config = ConfigDict(extra="forbid") | example(files=_FILES, aliases=["default"])
    files: dict[str, FileEntry] = Field(max_length=16)
    aliases: list[str] = Field(default=[], max_length=16)
    allow_noop: bool = False


class OpenUpload(BaseModel):
    """`missing` are the files to send; the others are in the store already."""

    model_config = example(upload=_UPLOAD, missing=list(_FILES))
    upload: str
    missing: list[str]


class UploadProgress(BaseModel):
    """How many bytes of each file are here, of how many: go on with `?offset=` where a connection broke.

    `missing` are the files that are not finished: one whose bytes are all here wants a PUT with none.
    """

    model_config = example(
        upload=_UPLOAD,
        adapter="support",
        received=_SIZES | {"manifest.json": 0},
        sizes=_SIZES,
        missing=["manifest.json"],
    )
    upload: str
    adapter: str
    received: dict[str, int]
    sizes: dict[str, int]
    missing: list[str]


_OPEN = {"upload": _UPLOAD, "adapter": "support", "by": "training", "touched": "2026-05-04T09:30:00Z"}


class UploadCard(BaseModel):
    """An upload under way; `touched` is when something of it last came, `by` the key that began it."""

    model_config = example(**_OPEN)
    upload: str
    adapter: str
    by: str | None
    touched: datetime


class UploadList(BaseModel):
    model_config = example(object="list", data=[_OPEN])
    object: str = "list"
    data: list[UploadCard]


class EndedUpload(BaseModel):
    model_config = example(upload=_UPLOAD, ended=True)
    upload: str
    ended: bool = True


class Committed(BaseModel):
    """`adopted` is there for an adapter that was trained elsewhere: what is known of it; `without_probes` in
    it is why its parity cannot be checked."""

    model_config = example(name="support", version=3, digest=DIGEST, state="ready", aliases=["default"])
    name: str
    version: int
    digest: str
    state: str
    aliases: list[str]
    adopted: dict[str, Any] | None = None


@router.post("/v1/adapters/{adapter}/uploads", status_code=201)
async def create_upload(
    adapter: Name, body: Annotated[NewUpload, Body()], request: Request, key: Pushing
) -> OpenUpload:
    """Announce an adapter's files."""
    state = request.app.state
    if state.settings.names_base(adapter):
        raise ApiError(f"{adapter!r} is the base's name; push the adapter under another.", code="name_taken")
    if (why := unfit(adapter)) and not await asyncio.to_thread(_is_there, state.registry, adapter):
        raise ApiError(why, code="name_taken")
    upload = Upload(
        name=adapter, files=body.files, aliases=body.aliases, allow_noop=body.allow_noop, by=key.name
    )
    known = await asyncio.to_thread(state.registry.bytes_within_reach, key)
    identity, missing = await asyncio.to_thread(state.registry.staging.create, upload, known)
    return OpenUpload(upload=identity, missing=missing)


@router.get("/v1/uploads")
async def list_uploads(request: Request, key: Pushing) -> UploadList:
    """The uploads under way of adapters that the key reaches."""
    found = await asyncio.to_thread(request.app.state.registry.staging.all)
    return UploadList(
        data=[
            UploadCard(
                upload=name,
                adapter=upload.name,
                by=upload.by,
                touched=datetime.fromtimestamp(touched, UTC),
            )
            for name, upload, touched in found
            if key.reaches(upload.name)
        ]
    )


@router.get("/v1/uploads/{upload}")
async def show_upload(upload: UploadId, request: Request, key: Pushing) -> UploadProgress:
    """How far an upload has come."""
    announced, received, missing = await asyncio.to_thread(
        request.app.state.registry.staging.progress, upload
    )
    require(key, announced.name)
    sizes = {name: entry.size for name, entry in announced.files.items()}
    return UploadProgress(
        upload=upload, adapter=announced.name, received=received, sizes=sizes, missing=missing
    )


@router.put(
    "/v1/uploads/{upload}/{file}",
    status_code=204,
    openapi_extra={"requestBody": {"content": _BYTES, "required": True}},
)
async def put_file(
    upload: UploadId,
    file: File,
    request: Request,
    key: Pushing,
    offset: Annotated[int, Query(ge=0, le=2**40, description="Go on from this byte of the file.")] = 0,
) -> Response:
    """Send one file as the raw body; size and digest are checked while it streams."""
    staging = request.app.state.registry.staging
    await _allowed(staging, upload, key)
    stall = request.app.state.settings.stall_seconds
    with await asyncio.to_thread(staging.receive, upload, file, offset) as incoming:
        incoming.expect(_length(request))
        async for block in _blocks(request, stall):
            await require_still(request)  # an upload may take longer than its key lives
            await asyncio.to_thread(incoming.write, block)
        await asyncio.to_thread(incoming.finish)
    return Response(status_code=204)


@router.delete("/v1/uploads/{upload}")
async def end_upload(upload: UploadId, request: Request, key: Pushing) -> EndedUpload:
    """Give an upload up: what came of it is deleted."""
    staging = request.app.state.registry.staging
    await _allowed(staging, upload, key)
    await asyncio.to_thread(staging.end, upload)
    return EndedUpload(upload=upload)


@router.post("/v1/uploads/{upload}/commit", response_model_exclude_none=True)
async def commit(upload: UploadId, request: Request, key: Pushing) -> Committed:
    """Check the adapter, keep it, load it into the running engine, and only then move the aliases."""
    state = request.app.state
    await _allowed(state.registry.staging, upload, key)
    announced, version = await asyncio.to_thread(_keep, upload, state)
    reach("uploads.kept")
    try:
        await state.lifecycle.ensure_ready(version)
    except (StorageBusy, StorageFull):
        raise
    except UserError as error:
        raise ApiError(
            f"{error} Version {version.number} of {version.name!r} is stored, but no alias was moved to it.",
            status=422,
            code="adapter_failed",
        ) from error
    reach("uploads.loaded")
    try:
        await asyncio.to_thread(
            state.registry.set_aliases, version.name, announced.aliases, version.number, by=key.name
        )
    except GateClosed as error:
        raise GateClosed(
            f"{version.reference} is stored and answers by that name, but {error} To push without it, name "
            f"another alias, as with `serve push DIR --name {version.name} --alias candidate`."
        ) from error
    reach("uploads.aliased")
    return Committed(
        name=version.name,
        version=version.number,
        digest=version.digest,
        state=state.lifecycle.state_of(version),
        aliases=announced.aliases,
        adopted=version.provenance.get("adopted"),
    )


def _is_there(registry: Any, name: str) -> bool:
    """Whether an adapter has this name already: one that was pushed before names were looked at keeps it."""
    try:
        registry.show(name)
    except UnknownAdapter:
        return False
    return True


def _keep(upload: str, state: Any) -> tuple[Upload, Version]:
    settings, registry = state.settings, state.registry
    modules = base_modules.read(settings.folder)
    with registry.staging.commit(upload) as (announced, files):
        checked = validate.check(files, settings.base, modules, settings.max_lora_rank, announced.allow_noop)
        probes, without = None, None
        if not registry.knows(announced.name, checked):
            try:
                probes = _probed(checked, settings)
            except UserError as error:
                without = pathless(str(error))
        return announced, registry.add(announced.name, checked, announced.by, probes, without)


def _probed(adapter: validate.Checked, settings: Settings) -> Path | None:
    """Probes of an adapter that was trained elsewhere and came without; None where none are due, UserError
    where they cannot be had."""
    if not isinstance(adapter.manifest, AdoptedManifest) or PROBES in adapter.digests:
        return None
    if not settings.probe_seconds:
        raise UserError("no probes came with it, and this server computes none.")
    made = adapter.folder.parent / "probes.computed"
    compute(adapter.folder, settings.folder, made, settings.probe_seconds)
    return made


async def _allowed(staging: Any, upload: str, key: Key) -> None:
    announced = await asyncio.to_thread(staging.announced, upload)
    require(key, announced.name)


def _length(request: Request) -> int | None:
    """What the client says of the body's bytes, where it says something that can be true."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdecimal() and len(said) < 20 else None


async def _blocks(request: Request, stall: float) -> AsyncIterator[bytes]:
    """The body in larger pieces; ApiError when next to nothing comes within `stall` seconds."""
    clock = asyncio.get_running_loop().time
    more = True
    while more:
        block, end, late = bytearray(), clock() + stall, False
        while more and len(block) < BLOCK_BYTES:
            try:
                message = await asyncio.wait_for(request.receive(), end - clock())
            except TimeoutError:
                late = True
                break
            if message["type"] == "http.disconnect":
                yield bytes(block)  # kept, for when the client goes on
                raise ClientDisconnect
            block += message.get("body", b"")
            more = message.get("more_body", False)
        yield bytes(block)
        if late and len(block) < TRICKLE_BYTES:
            raise ApiError(
                f"Only {len(block)} bytes came within {stall:g} s; send the file faster, and go on where it "
                "stands.",
                status=408,
                code="upload_too_slow",
            )
