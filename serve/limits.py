"""Bounds on what a request may bring, before anything looks at it."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import ApiError, answer
from serve.routes.deadline import stopping

UPLOADS = "/v1/uploads/"
"""Paths whose bodies are files: their routes bound them by what was announced."""

CHAT = "/v1/chat/"
"""Paths whose bodies are conversations."""

SMALL_BYTES = 2**16
"""What goes for all others: names, numbers, digests. Each mistake in one becomes an object of its own."""

TABLES, TABLE_BYTES = ("/reports", "/policy"), 2**19
"""How paths end whose bodies have a line for each of a suite's tasks, and what goes for them."""

TRICKLE_BYTES = 2**12
"""What has to come within `Settings.stall_seconds`."""


class BodyLimit:
    """ASGI middleware: a body of more than `limit` bytes is 413, whatever its Content-Length says.

    So is one of more than `SMALL_BYTES` or `TABLE_BYTES` that is no conversation. One that comes slower than
    `TRICKLE_BYTES` in each `stall` seconds is 408.
    """

    def __init__(self, app: ASGIApp, limit: int, stall: float) -> None:
        self._app = app
        self._limit = limit
        self._stall = stall

    def _most(self, path: str) -> int:
        """Bytes of a body for this path."""
        if path.startswith(CHAT):
            return self._limit
        return TABLE_BYTES if path.endswith(TABLES) else SMALL_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"] == "PUT" and scope["path"].startswith(UPLOADS)):
            await self._app(scope, receive, send)
            return
        limit = self._most(scope["path"])
        begun = asyncio.get_running_loop().time()
        taken = 0
        coming = True
        started = False

        async def bounded() -> Message:
            nonlocal taken, coming
            # After the body a client may be silent, for as long as its answer streams.
            due = begun + self._stall * (1 + taken / TRICKLE_BYTES) if coming else None
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise Refused(_too_slow(taken, self._stall)) from None
            taken += len(message.get("body", b""))
            coming = message.get("more_body", False)
            if taken > limit:
                raise Refused(_too_large(limit))
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, bounded, watched)
        except (Refused, asyncio.CancelledError) as why:
            if started:
                raise
            # Cancelled is what is still under way when the server's time to end is over.
            await answer(why.error if isinstance(why, Refused) else stopping())(scope, receive, send)


def _too_large(limit: int) -> ApiError:
    return ApiError(
        f"The request's body is larger than {limit} bytes; send less at a time.",
        status=413,
        code="body_too_large",
    )


def _too_slow(taken: int, stall: float) -> ApiError:
    return ApiError(
        f"Only {taken} bytes of the request's body came within {stall:g} s; send it faster.",
        status=408,
        code="body_too_slow",
    )


class Refused(BaseException):
    """No Exception, which FastAPI would take for a body that is not JSON."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error
