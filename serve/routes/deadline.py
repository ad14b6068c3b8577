"""How long a chat may take, from its arrival to its last token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.errors import ApiError


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel what is done inside once time is up. ApiError with status 504 then."""
        try:
            async with asyncio.timeout_at(self._at):
                yield
        except TimeoutError:
            raise self._missed() from None

    def _missed(self) -> ApiError:
        return ApiError(
            f"The answer took longer than {self._seconds:g} s; ask for fewer tokens with max_tokens.",
            status=504,
            code="request_timeout",
            type="server_error",
        )
