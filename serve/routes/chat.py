"""POST /v1/chat/completions: parse and bound, resolve the adapter once, lease it, answer, release."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from serve.auth import Chatting
from serve.engine.protocol import Answer, EngineDied
from serve.errors import ApiError
from serve.registry.records import Version
from serve.routes.chat_answer import Label, Stream
from serve.routes.chat_document import ANSWER, REQUEST
from serve.routes.chat_request import choose, parse

T = TypeVar("T")

Session = Annotated[
    str | None,
    Header(
        description="Requests of one session, else of one `user`, get the same version of a canary's two."
    ),
]

router = APIRouter(tags=["chat"])


@router.post("/v1/chat/completions", openapi_extra={"requestBody": REQUEST}, responses={200: ANSWER})
async def create(request: Request, key: Chatting, x_session: Session = None) -> Response:
    """Answer a chat by the base or by an adapter, whole or as server-sent events."""
    state = request.app.state
    body = await parse(request)
    asked, version = await choose(body, state.settings, state.registry, key, x_session)
    try:
        answer, held = await _begin(request, body, version)
    except EngineDied:
        # Nothing was said yet, so nobody can tell a second try from a first; a third might help to kill it.
        answer, held = await _begin(request, body, version)
    label = Label(asked, version, state.engine.base_name)
    if isinstance(answer, dict):
        await held.aclose()
        return JSONResponse(label.whole(answer), headers=label.headers)
    return Stream(label.events(answer), held, label.headers)


async def _begin(
    request: Request, body: dict[str, Any], version: Version | None
) -> tuple[Answer, AsyncExitStack]:
    """The engine's answer, and what holds its version in the engine until it is closed."""
    state, held = request.app.state, AsyncExitStack()
    try:
        await _unless_gone(request, held.enter_async_context(state.lifecycle.lease(version)))
        return await _unless_gone(request, state.engine.chat(body, version)), held
    except BaseException:
        await held.aclose()
        raise


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
