"""/v1/registry: looking after what is stored."""

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from serve.auth import Administering
from serve.registry.collect import GRACE, UNFINISHED, collect
from serve.registry.fsck import fsck
from serve.routes.parameters import example

router = APIRouter(tags=["registry"])


class CollectedCard(BaseModel):
    """What went: `bytes` of `blobs`, `folders` of versions, `uploads` that nobody went on with."""

    model_config = example(blobs=4, bytes=19_588_159, folders=1, uploads=0)
    blobs: int
    bytes: int
    folders: int
    uploads: int


class ProblemCard(BaseModel):
    what: str
    why: str


class ExaminedCard(BaseModel):
    """How much was read, and everything that is wrong."""

    model_config = example(versions=12, blobs=39, moves=17, problems=[])
    versions: int
    blobs: int
    moves: int
    problems: list[ProblemCard]


@router.post("/v1/registry/gc")
async def collect_garbage(
    request: Request,
    key: Administering,
    days: Annotated[
        float,
        Query(ge=0, le=3650, allow_inf_nan=False, description="Keep what was removed less long ago."),
    ] = GRACE / timedelta(days=1),
    uploads: Annotated[
        float,
        Query(ge=0, le=3650, allow_inf_nan=False, description="Keep uploads touched less long ago, in days."),
    ] = UNFINISHED / timedelta(days=1),
) -> CollectedCard:
    """Delete the bytes of versions that were removed, and what was left behind."""
    storage = request.app.state.registry.storage
    ages = {"grace": timedelta(days=days), "unfinished": timedelta(days=uploads)}
    return CollectedCard(**vars(await asyncio.to_thread(collect, storage, **ages)))


@router.get("/v1/registry/fsck")
async def examine(request: Request, key: Administering) -> ExaminedCard:
    """Read every byte of every version, and look at every alias and move."""
    found = await asyncio.to_thread(fsck, request.app.state.registry.storage)
    problems = [ProblemCard(**vars(problem)) for problem in found.problems]
    return ExaminedCard(versions=found.versions, blobs=found.blobs, moves=found.moves, problems=problems)
