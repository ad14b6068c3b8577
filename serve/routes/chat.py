"""POST /v1/chat/completions: parse and bound, resolve the adapter once, lease it, answer, release."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from serve.auth import Chatting, Unsolved, while_valid
from serve.engine.protocol import Answer, EngineDied
from serve.errors import ApiError
from serve.registry.keys import Key
from serve.registry.records import Version
from serve.routes.budget import most_tokens, reserve
from serve.routes.chat_answer import Label
from serve.routes.chat_document import ANSWER, REQUEST
from serve.routes.chat_request import check_prompt_logprobs, choose, parse, places, salt, unheld
from serve.routes.stream import Stream
from serve.routes.tools import UNHELD
from serve.watch import WatchedChat

T = TypeVar("T")

Session = Annotated[
    str | None,
    Header(
        description="Requests of one session, else of one `user`, get the same version of a canary's two."
    ),
]

router = APIRouter(tags=["chat"], route_class=Unsolved)


@router.post("/v1/chat/completions", openapi_extra={"requestBody": REQUEST}, responses={200: ANSWER})
async def create(request: Request, key: Chatting, x_session: Session = None) -> Response:
    """Answer a chat by the base or by an adapter, whole or as server-sent events."""
    state = request.app.state
    deadline = state.deadlines.begin()
    seen = WatchedChat(state.watch, request, key.name)
    held = AsyncExitStack()
    held.callback(seen.close)
    try:
        body = await parse(request)
        seen.asks(body)
        check_prompt_logprobs(body, len(await request.body()), key, state.settings)
        asked, version = await choose(body, state.settings, state.registry, key, x_session)
        seen.serves(version)
        lengths = await unheld(body)
        body["cache_salt"] = salt(state.salt, key)
        tokens = most_tokens(body, len(await request.body()), state.settings)
        left = await reserve(state.registry.storage.budgets, key, tokens, held, seen.used)
        async with deadline.kept():
            try:
                answer = await _begin(request, body, version, key, held, seen)
            except EngineDied:
                # Nothing was said yet, so nobody can tell a second try from a first. A third might
                # kill it again.
                answer = await _begin(request, body, version, key, held, seen)
    except BaseException as error:
        seen.failed(error)
        await held.aclose()
        raise
    label = Label(asked, version, state.engine.base_name)
    label.headers |= left
    if lengths:
        label.headers[UNHELD] = lengths
    if isinstance(answer, dict):
        seen.answered(answer)
        await held.aclose()
        return JSONResponse(label.whole(answer), headers=label.headers)
    events = seen.events(while_valid(request, cast(AsyncGenerator[str, None], answer)))
    # Before the lease is given back: the engine must have stopped by then.
    held.push_async_callback(events.aclose)
    return Stream(label.events(events), held, label.headers, deadline, seen.failed)


async def _begin(
    request: Request,
    body: dict[str, Any],
    version: Version | None,
    key: Key,
    held: AsyncExitStack,
    seen: WatchedChat,
) -> Answer:
    """The engine's answer; what holds its version in the engine is put on `held`."""
    state, lease = request.app.state, AsyncExitStack()
    takes = places(body, len(await request.body()))

    async def begun() -> Answer:
        await lease.enter_async_context(state.lifecycle.lease(version, key.name, takes))
        seen.lent()
        answer: Answer = await state.engine.chat(body, version)
        return answer

    try:
        answer = await _unless_gone(request, begun())
    except BaseException:
        await lease.aclose()
        raise
    held.push_async_callback(lease.aclose)
    return answer


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
