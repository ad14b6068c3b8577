"""What leaves the server for a chat: the engine's answer, saying what was asked for and what served it."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from data.errors import UserError
from serve import errors
from serve.engine.protocol import served_name
from serve.errors import ApiError
from serve.registry.records import Version
from serve.routes.deadline import Deadline

DONE = "data: [DONE]\n\n"

CALL_PREFIX = "chatcmpl-tool-"
"""How a call's id begins at the hosted endpoint. Of an id that comes back, Mistral's format keeps the end."""

_CALL = '"type":"function"'
_THOUGHT = '"reasoning":"'

log = logging.getLogger(__name__)


class Label:
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
        choices = [{**one, "message": _hosted(one["message"])} for one in answer["choices"]]
        return {**answer, "choices": choices, "model": self._asked, "adapter": self._adapter}

    async def events(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """The same events. Generated text cannot hold the engine's `"model":`, since JSON escapes its
        quotes, so the chunk need not be parsed and written again for every token."""
        async for event in events:
            event = event.replace(self._engines, self._ours, 1)
            # The few that begin a call, or that hold thoughts, are.
            yield _hosted_event(event) if _CALL in event or _THOUGHT in event else event


def _hosted(message: dict[str, Any]) -> dict[str, Any]:
    """The engine's message with what a hosted endpoint's clients look for: each field there, if only null."""
    calls = [_named(call) for call in message.get("tool_calls") or ()]
    return {**message, "reasoning_content": message.get("reasoning"), "tool_calls": calls}


def _named(call: dict[str, Any]) -> dict[str, Any]:
    identity = call.get("id")
    if identity is None or identity.startswith(CALL_PREFIX):
        return call
    return {**call, "id": CALL_PREFIX + identity}


def _hosted_event(event: str) -> str:
    """The same for a chunk, whose deltas leave out what they do not change."""
    chunk = json.loads(event.removeprefix("data: "))
    for choice in chunk["choices"]:
        delta = choice["delta"]
        if "tool_calls" in delta:
            delta["tool_calls"] = [_named(call) for call in delta["tool_calls"]]
        if "reasoning" in delta:
            delta["reasoning_content"] = delta["reasoning"]
    return f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def ended(events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The same events, with an end in any case: what goes wrong is the last one before [DONE].

    OpenAI's clients raise an APIError with its message and code, where a bare end would look like a short
    answer.
    """
    event = ""
    try:
        async for event in events:
            yield event
        if event == DONE:
            return
        raise RuntimeError("the engine ended a stream without [DONE]")
    except UserError as error:
        yield _end(errors.known(error))
    except Exception:
        log.exception("a stream failed")
        yield _end(errors.INTERNAL)


def _end(error: ApiError) -> str:
    """The last two events of a stream that went wrong."""
    return f"data: {json.dumps(error.body())}\n\n{DONE}"


class Stream(StreamingResponse):
    """Server-sent events that give the lease back however they end, even if they never began.

    Past the deadline they end with its error, which `failed` is told, also where the client is what is slow.
    """

    def __init__(
        self,
        events: AsyncGenerator[str, None],
        held: AsyncExitStack,
        headers: dict[str, str],
        deadline: Deadline,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            ended(events), media_type="text/event-stream", headers={"cache-control": "no-store", **headers}
        )
        self._events = events
        self._held = held
        self._deadline = deadline
        self._failed = failed
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._deadline.kept():  # one clock for the stream: one for each token costs a tenth
                await super().__call__(scope, receive, send)
        except ApiError as late:
            self._failed(late)
            await self._release()
            if not self._begun:
                raise
            await send({"type": "http.response.body", "body": _end(late).encode(), "more_body": False})
        finally:
            await self._release()

    async def stream_response(self, send: Send) -> None:
        self._begun = True
        await super().stream_response(send)

    async def _release(self) -> None:
        await self._events.aclose()
        await self._held.aclose()
