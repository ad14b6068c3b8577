"""Who asks: an API key in `Authorization: Bearer`, with a scope for each route and maybe its own adapters."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, cast

from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serve.errors import ApiError
from serve.registry.keys import Key, Scope

LOOK_AGAIN = 1.0
"""Seconds after which the key of a stream under way is looked at again."""

_bearer = HTTPBearer(auto_error=False, description="A key made by `serve keys create`.")


def _needs(scope: Scope) -> Callable[..., Awaitable[Key]]:
    async def key(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Key:
        return await key_for(scope, request, given)

    return key


async def key_for(scope: Scope, request: Request, given: HTTPAuthorizationCredentials | None) -> Key:
    """The key of a request; ApiError where it may not do what needs `scope`, or not to its path's adapter."""
    found = await _known(request, given)
    require_scope(found, scope)
    if (adapter := request.path_params.get("adapter")) is not None:
        require(found, adapter)
    return found


Chatting = Annotated[Key, Depends(_needs("chat"))]
Pushing = Annotated[Key, Depends(_needs("push"))]
Administering = Annotated[Key, Depends(_needs("admin"))]


class KeyFirst(APIRoute):
    """A route that reads no body from those without a key, where FastAPI would parse it before it asks."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            await _known(request, await _bearer(request))
            return await handler(request)

        return keyed


class Unsolved(APIRoute):
    """A chat's route: FastAPI describes its parameters, a key and a session, and does not look for them.

    That takes it a tenth of a millisecond of each request.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        async def handler(request: Request) -> Response:
            key = await key_for("chat", request, await _bearer(request))
            return cast(Response, await self.endpoint(request, key, request.headers.get("x-session")))

        return handler


async def _known(request: Request, given: HTTPAuthorizationCredentials | None) -> Key:
    """The key of a request, whatever it may do; it is `request.state.key` from then on."""
    if (known := getattr(request.state, "key", None)) is not None:
        return cast(Key, known)
    request.state.key = found = await _valid(request, given)
    return found


async def require_still(request: Request) -> None:
    """ApiError once the key of a request that is under way was revoked, or expired."""
    await _valid(request, await _bearer(request))


async def while_valid(request: Request, events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The same events, as long as the request's key opens anything."""
    looked = time.monotonic()
    async with aclosing(events):
        async for event in events:
            if time.monotonic() - looked >= LOOK_AGAIN:
                await require_still(request)
                looked = time.monotonic()
            yield event


async def _valid(request: Request, given: HTTPAuthorizationCredentials | None) -> Key:
    if given is None:
        raise _unauthorised("The request has no API key; send one as `Authorization: Bearer enx_...`.")
    registry, secret = request.app.state.registry, given.credentials
    # A thread has to wait for its turn with the streams that the event loop serves.
    found = registry.key_at_hand(secret)
    if found is None:
        found = await asyncio.to_thread(registry.key, secret)
    if not isinstance(found, Key):
        raise _unauthorised("This API key is not known here.")
    if found.lapsed:
        raise _unauthorised(
            f"The API key {found.name!r} {found.lapsed}; make a new one with `serve keys create`."
        )
    return found


def require_scope(key: Key, scope: Scope, param: str | None = None) -> None:
    """ApiError unless the key may do what needs this scope: the request, or a field of it."""
    if not key.may(scope):
        raise ApiError(
            f"The API key {key.name!r} has the scopes {', '.join(key.scopes)}, and {param or 'this'} needs "
            f"{scope}; use another key.",
            status=403,
            code="insufficient_scope",
            param=param,
        )


def require(key: Key, adapter: str) -> None:
    """ApiError unless the key reaches this adapter, whether or not there is one of this name."""
    if not key.reaches(adapter):
        raise ApiError(
            f"The API key {key.name!r} does not reach the adapter {adapter[:100]!r}; use another key.",
            status=403,
            code="adapter_not_allowed",
        )


def _unauthorised(message: str) -> ApiError:
    return ApiError(message, status=401, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
