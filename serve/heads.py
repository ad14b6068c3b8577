"""uvicorn's HTTP with bounds on a request's head, for which uvicorn alone would wait for ever."""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.errors import ApiError

MAX_HEAD_BYTES = 2**16
HEAD_SECONDS = 20.0


class BoundedHttp(HttpToolsProtocol):
    """A connection whose requests' lines and headers come in time, and are not too many."""

    _due: asyncio.TimerHandle | None = None
    _taken = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_none()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        super().data_received(data)
        if self._due and self._taken > MAX_HEAD_BYTES:
            self._refuse(f"The request's head is longer than {MAX_HEAD_BYTES} bytes; send fewer headers.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._due is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._expect_none()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._taken = 0
        self._due = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _expect_none(self) -> None:
        if self._due:
            self._due.cancel()
        self._due = None

    def _too_late(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            # Nothing is read while the request before this one is answered.
            self._expect_head()
            return
        self._refuse(f"The request's head did not come within {HEAD_SECONDS:g} s; send it faster.")

    def send_400_response(self, msg: str) -> None:
        """To what is no HTTP too: OpenAI's error object, as every other answer has it."""
        body = json.dumps(ApiError(msg, code="invalid_http").body()).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _refuse(self, why: str) -> None:
        self._expect_none()
        if not self.transport.is_closing():
            self.send_400_response(why)
