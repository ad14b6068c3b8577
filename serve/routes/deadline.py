"""How long a chat may take, from its arrival to its last token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakSet

from serve.errors import ApiError


class Deadlines:
    """Of all chats of a server, which its own end can bring forward."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: WeakSet[Deadline] = WeakSet()
        self._stopped = False

    def begin(self) -> "Deadline":
        """One that is `seconds` from now."""
        deadline = Deadline(self._seconds)
        self._kept.add(deadline)
        if self._stopped:
            deadline.stop()
        return deadline

    def stop(self) -> None:
        """The server ends: so does everything under way, now."""
        self._stopped = True
        for deadline in list(self._kept):
            deadline.stop()


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds
        self._stopped = False
        self._running: asyncio.Timeout | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel what is done inside once time is up. ApiError with status 504 then, or 503 where the server
        ends."""
        try:
            async with asyncio.timeout_at(self._at) as self._running:
                yield
        except TimeoutError:
            raise stopping() if self._stopped else self._missed() from None
        finally:
            self._running = None

    def stop(self) -> None:
        """Time is up now, since the server ends."""
        self._stopped = True
        self._at = asyncio.get_running_loop().time()
        if self._running and not self._running.expired():
            self._running.reschedule(self._at)

    def _missed(self) -> ApiError:
        return ApiError(
            f"The answer took longer than {self._seconds:g} s; ask for fewer tokens with max_tokens.",
            status=504,
            code="request_timeout",
            type="server_error",
        )


def stopping() -> ApiError:
    """What is told to whoever still waits for an answer when the server ends."""
    return ApiError(
        "The server stops, and the answer was not whole in time; send the request again, to its successor.",
        status=503,
        code="server_stopping",
        type="server_error",
    )
