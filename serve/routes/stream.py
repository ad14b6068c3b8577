"""A chat's events on their way out: with an end in any case, no later than the deadline, and all released."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from data.errors import UserError
from serve import errors
from serve.errors import ApiError
from serve.routes.deadline import Deadline

DONE = "data: [DONE]\n\n"

LAST_SECONDS = 5.0
"""How long a client that was too slow may take for the event that says so."""

_ENDS = '"finish_reason":"'

log = logging.getLogger(__name__)


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
        own = {"cache-control": "no-store", **headers}
        super().__init__(ended(events), media_type="text/event-stream", headers=own)
        self._events = events
        self._held = held
        self._deadline = deadline
        self._failed = failed
        self._begun = self._done = self._out = False
        self._kept_back = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._deadline.kept():  # one clock for the stream: one for each token costs a tenth
                await super().__call__(scope, receive, send)
        except ApiError as late:
            if not self._done:
                self._failed(late)
            await self._release()
            if not self._begun:
                raise
            if self._out:  # it was late for nobody
                return
            with suppress(TimeoutError):  # the HTTP server closes the connection then
                async with asyncio.timeout(LAST_SECONDS):
                    await _last(send, "" if self._done else self._kept_back + _end(late))
        finally:
            await self._release()

    async def stream_response(self, send: Send) -> None:
        """starlette's, but that it knows how far it came.

        The event that ends a choice goes out with the next one, which the engine says at once: each costs a
        write.
        """
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._begun = True
        async for event in self.body_iterator:
            assert isinstance(event, str)
            if _ENDS in event:
                self._kept_back += event
                continue
            body, self._kept_back = self._kept_back + event, ""
            await send({"type": "http.response.body", "body": body.encode(), "more_body": True})
        self._done = True
        await _last(send, "")
        self._out = True

    async def _release(self) -> None:
        await self._events.aclose()
        await self._held.aclose()


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


async def _last(send: Send, body: str) -> None:
    await send({"type": "http.response.body", "body": body.encode(), "more_body": False})


def _end(error: ApiError) -> str:
    """The last two events of a stream that went wrong."""
    return f"data: {json.dumps(error.body())}\n\n{DONE}"
