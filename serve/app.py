"""The server as a value: routes over a registry and an engine, nothing started by making it."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from data.errors import UserError
from serve import errors, tracing
from serve.doors import Unslashed
from serve.engine.protocol import Engine
from serve.lifecycle import Lifecycle
from serve.limits import BodyLimit
from serve.metrics import Metrics
from serve.origins import allow_origins
from serve.preload import held_before
from serve.registry.registry import Registry
from serve.request_ids import RequestIds
from serve.routes import (
    adapters,
    aliases,
    base,
    chat,
    document,
    gate,
    keys,
    metrics,
    models,
    upkeep,
    uploads,
    usage,
)
from serve.routes.deadline import Deadlines
from serve.settings import Settings
from serve.watch import Watch

LOOK_SECONDS = 0.5
"""How often the server looks at what others of its registry changed, so that no request has to."""

TELL_SECONDS = 5
"""How often it tells the registry that it lives, and what its engine holds."""

log = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """OpenAI's error object."""

    error: ErrorDetail


_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered as it is."},
    "5XX": {"model": ErrorBody, "description": "The server cannot answer now."},
}


_RESOURCES = (chat, models, base, adapters, aliases, gate, uploads, keys, usage, upkeep, metrics, document)


def create_app(settings: Settings, registry: Registry, engine: Engine, lifecycle: Lifecycle) -> FastAPI:
    """Only the routes that are listed here exist; each but /health asks for an API key."""
    app = FastAPI(
        title="Enxerto",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # `Unslashed` needs no round, and no Host header to say where to
        responses=_ERRORS,
        lifespan=_watched,
    )
    app.state.settings = settings
    app.state.registry = registry
    app.state.engine = engine
    app.state.lifecycle = lifecycle
    app.state.deadlines = Deadlines(settings.request_seconds)
    app.state.watch = watch = Watch(
        Metrics(settings.measured_versions), tracing.start(), registry.storage.usage
    )
    app.state.salt = secrets.token_bytes(32)
    lifecycle.observe = watch.load_phase
    for resource in _RESOURCES:
        app.include_router(resource.router)
    app.add_middleware(BodyLimit, limit=settings.body_limit, stall=settings.stall_seconds)
    app.add_middleware(Unslashed)
    app.add_middleware(RequestIds, metrics=watch.metrics)
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    errors.install(app)
    return app


@asynccontextmanager
async def _watched(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs: see what other servers change, and tell them what this one holds."""
    task = asyncio.create_task(_watch(app))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        try:
            await asyncio.to_thread(app.state.registry.storage.usage.write)
        except UserError as error:
            log.warning("what was used in the last seconds is lost: %s", error)
        if traces := app.state.watch.traces:
            await asyncio.to_thread(traces.close)


async def _watch(app: FastAPI) -> None:
    registry, identity = app.state.registry, secrets.token_hex(8)
    told = float("-inf")
    clock = asyncio.get_running_loop().time
    begun = False
    try:
        while True:
            try:
                await asyncio.to_thread(registry.look)
                await _keep_pinned(app)
                if not begun:
                    await _bring_back(app)
                    begun = True
                if clock() - told > TELL_SECONDS:
                    told = clock()
                    await _tell(app, identity)
            except Exception:  # a look that fails must not be the last one
                log.exception("could not look at the registry")
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        with suppress(UserError):
            registry.storage.servers.gone(identity)


async def _keep_pinned(app: FastAPI) -> None:
    """Load what was pinned, on whichever server, and hold it."""
    pinned = await asyncio.to_thread(app.state.registry.pinned)
    app.state.lifecycle.keep(pinned)


async def _bring_back(app: FastAPI) -> None:
    """Have again in the engine what it held before a restart, as far as there is room."""
    held = await asyncio.to_thread(held_before, app.state.registry, app.state.settings.url)
    app.state.lifecycle.bring_back(held)


async def _tell(app: FastAPI, identity: str) -> None:
    servers, loaded = app.state.registry.storage.servers, app.state.lifecycle.loaded()
    try:
        await asyncio.to_thread(servers.alive, identity, app.state.settings.url, loaded)
        await asyncio.to_thread(app.state.registry.storage.usage.write)
    except UserError as error:
        log.warning("could not tell the registry what is loaded and used: %s", error)
