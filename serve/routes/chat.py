"""POST /v1/chat/completions: parse and bound, resolve the adapter once, lease it, answer, release."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from serve.auth import Chatting, require
from serve.engine.protocol import served_name
from serve.errors import ApiError
from serve.registry.keys import Key
from serve.registry.records import Version
from serve.routes.chat_document import ANSWER, MAX_CHOICES, REQUEST
from serve.routes.fields import IGNORED, OURS, PASSED_ON
from serve.routes.tools import check_tools
from serve.settings import Settings

T = TypeVar("T")

router = APIRouter(tags=["chat"])


@router.post("/v1/chat/completions", openapi_extra={"requestBody": REQUEST}, responses={200: ANSWER})
async def create(request: Request, key: Chatting) -> Response:
    """Answer a chat by the base or by an adapter, whole or as server-sent events."""
    state = request.app.state
    body = await _body(request)
    asked, version = await _choose(body, state.settings, state.registry, key)
    held = AsyncExitStack()
    try:
        if version:
            await _unless_gone(request, held.enter_async_context(state.lifecycle.lease(version)))
        answer = await _unless_gone(request, state.engine.chat(body, version))
    except BaseException:
        await held.aclose()
        raise
    label = _Label(asked, version, state.engine.base_name)
    if isinstance(answer, dict):
        await held.aclose()
        return JSONResponse(label.whole(answer), headers=label.headers)
    return _Stream(label.events(answer), held, label.headers)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of the request, with only fields that this server knows."""
    data = await request.body()
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ApiError(f"The request's body is not JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(
            f"The request's body is a JSON {type(body).__name__}; send an object.", code="invalid_json"
        )
    if unknown := sorted(body.keys() - PASSED_ON - IGNORED - OURS):
        raise ApiError(
            f"This server does not take the field {unknown[0][:100]!r}; remove it.",
            code="unknown_field",
            param=unknown[0][:100],
        )
    choices = body.get("n")
    if isinstance(choices, int) and choices > MAX_CHOICES:
        raise ApiError(f"n is at most {MAX_CHOICES}, not {choices}; ask several times.", param="n")
    check_tools(body.get("tools"))
    return body


async def _choose(
    body: dict[str, Any], settings: Settings, registry: Any, key: Key
) -> tuple[str, Version | None]:
    """The name that was asked for, and the version that it means now; None is the base.

    Leaves only the engine's fields in `body`.
    """
    model, adapter = body.pop("model", None), body.pop("adapter", None)
    for field in IGNORED:
        body.pop(field, None)
    if not isinstance(model, str) or not model:
        raise ApiError(
            f"The request has no model; send the base's name {settings.base.name!r} or an adapter's.",
            param="model",
        )
    if adapter is not None and not isinstance(adapter, str):
        raise ApiError("adapter is a name in a string, as in model.", param="adapter")
    if settings.names_base(model):
        if adapter is None:
            return model, None
        return model, await _resolve(adapter, registry, key)
    if adapter is not None and adapter != model:
        raise ApiError(
            f"model names adapter {model[:100]!r} and adapter names {adapter[:100]!r}; send one of the two.",
            param="adapter",
        )
    return model, await _resolve(model, registry, key)


async def _resolve(reference: str, registry: Any, key: Key) -> Version:
    # Before it is known whether there is one: a key learns nothing of adapters that are not its own.
    require(key, re.split("[:@]", reference, maxsplit=1)[0])
    version: Version = await asyncio.to_thread(registry.resolve, reference)
    return version


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; cancels it when the client hangs up, so that nothing is generated for nobody."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
            raise ApiError("The client closed the connection.", status=499, code="client_closed")
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Label:
    """Says in an answer what was asked for and what served it."""

    def __init__(self, asked: str, version: Version | None, base_name: str) -> None:
        self._asked = asked
        self._adapter = None
        self.headers: dict[str, str] = {}
        served = base_name
        if version:
            served = served_name(version)
            self._adapter = {"name": version.name, "version": version.number, "digest": version.digest}
            self.headers = {
                "x-adapter": version.name,
                "x-adapter-version": str(version.number),
                "x-adapter-digest": version.digest,
            }
        self._engines = f'"model":{json.dumps(served)}'
        self._ours = f'"model":{json.dumps(asked)},"adapter":{json.dumps(self._adapter)}'

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "model": self._asked, "adapter": self._adapter}

    async def events(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """The same events. Generated text cannot hold the engine's `"model":`, since JSON escapes its
        quotes, so the chunk need not be parsed and written again for every token."""
        async for event in events:
            yield event.replace(self._engines, self._ours, 1)


class _Stream(StreamingResponse):
    """Server-sent events that give the lease back however they end, even if they never began."""

    def __init__(
        self, events: AsyncGenerator[str, None], held: AsyncExitStack, headers: dict[str, str]
    ) -> None:
        super().__init__(
            events, media_type="text/event-stream", headers={"cache-control": "no-store", **headers}
        )
        self._events = events
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            await self._held.aclose()
