"""The server as a value: routes over a registry and an engine, nothing started by making it."""

from fastapi import FastAPI

from serve import errors
from serve.engine.protocol import Engine
from serve.lifecycle import Lifecycle
from serve.registry.registry import Registry
from serve.routes import adapters, chat, models
from serve.settings import Settings


def create_app(settings: Settings, registry: Registry, engine: Engine, lifecycle: Lifecycle) -> FastAPI:
    """Only the routes that are listed here exist."""
    app = FastAPI(title="Enxerto", docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.registry = registry
    app.state.engine = engine
    app.state.lifecycle = lifecycle
    for resource in (chat, models, adapters):
        app.include_router(resource.router)
    errors.install(app)
    return app
