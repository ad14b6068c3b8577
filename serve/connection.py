"""One account for each connection, from accept to close: how many bytes and seconds it may cost.

uvicorn with httptools speaks HTTP; what it would wait for or take without end is bounded here. hypercorn
bounds more by itself, and takes several times as long for a token's event; granian has no hooks for this.
"""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serve.crowd import Crowd, address_of
from serve.errors import RETRY_SECONDS, ApiError

MAX_HEAD_BYTES = 2**16
"""Of a head; of whatever else comes in a row and is no body (the lines of chunks, trailers); and of what
comes behind a request before its answer is out."""

MAX_HEADERS = 256
"""Of a head and its trailers: each is some objects, however short."""

HEAD_SECONDS = 20.0
"""From accept, or from a later request's first byte, to the end of its head."""

DRAIN_BYTES, DRAIN_SECONDS = 2**24, 10.0
"""What is taken, and thrown away, of a body whose request has its answer already, so that a client which
still sends can read that; then the connection closes."""

WRITE_SECONDS = 60.0
"""How long a client that takes nothing of its answer is waited for."""

TRICKLE_BYTES = 2**12
"""What it takes at least in that time of an answer that is whole, where the connection is to close."""


class BoundedHttp(HttpToolsProtocol):
    """A connection that waits (for a head, a next request, the rest of a body) or has a request under way.

    While it waits a timer runs that no byte takes back, and it gives way where there are too many. While a
    request is under way its body's bytes and seconds are `BodyLimit`'s and the routes', as the answer's are.
    """

    crowd: Crowd

    _due: asyncio.TimerHandle | None = None
    _asking = False
    """A request is under way: its head was taken, its answer is not out."""
    _headed = _whole = False
    """Of the request that was read last: its head, all of it."""
    _leaving = False
    """All was said; what comes is thrown away."""
    _taken = _drained = 0
    """Bytes since the last piece of a request was complete; bytes that were thrown away."""
    _fields = 0
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = address_of(self.client)
        self._behind = bytearray()
        if refusal := self.crowd.admit(self):
            self._tell(refusal)
            self._close()
        else:
            self._after(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._after_nothing()
        self.crowd.leaves(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._asking and self._whole:
            # Never left unread, though nobody wants it now: a client that goes shows behind all that it sent.
            self._behind += data
            if len(self._behind) > MAX_HEAD_BYTES:
                self._refuse(_invalid(_BEHIND))
            return
        if self._leaving or self._is_answered_early():
            self._drained += len(data)
        if not self._leaving:
            self._taken += len(data)
            self._parse(data)
        if self._drained > DRAIN_BYTES:
            self._close()
        elif self._taken > MAX_HEAD_BYTES:
            self._refuse(_invalid(_LINES if self._headed else _LONG_HEAD))

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # There is none: it is answered like any other, and the connection closes.
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _PipelinedError):
                self.cycle.keep_alive = False
            else:
                self._refuse(cause if isinstance(cause, ApiError) else _invalid(_NO_HTTP))

    # What the parser finds; an exception ends its work.

    def on_message_begin(self) -> None:
        if self._asking:
            raise _PipelinedError
        if self.cycle:  # the first head's time runs since the connection was made
            self._after(HEAD_SECONDS, self._late)
        self._headed = self._whole = False
        self._fields = self._drained = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_HEADERS:
            raise _invalid(_MANY_HEADERS)
        # Trailers are no headers, whatever they say: a proxy in front has not looked at them.
        if not self._headed:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        _check(self.url, self.headers, self.parser.should_upgrade())
        if refusal := self.crowd.asks(self, self.url.partition(b"?")[0] == b"/health"):
            raise refusal
        super().on_headers_complete()
        self._headed = self._asking = True
        self._taken = 0
        self._after_nothing()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._taken = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole = True
        self._taken = 0
        super().on_message_complete()
        if self._asking:
            self.crowd.works(self)
        else:
            self._idle()

    # What the answer does.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.transport.is_closing():
            self._close()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._asking = False
        self.crowd.waits(self)
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._whole:
            self._idle()
            behind, self._behind = self._behind, bytearray()
            if behind:
                self.data_received(bytes(behind))
        elif self.expect_100_continue:
            self._leave()  # the client may send the body yet or not, as it likes
        else:
            self._after(DRAIN_SECONDS, self._close)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._asking:
            self._after(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._asking:
            self._after_nothing()

    # How it ends.

    def give_way(self) -> None:
        """Close at once, since another one needs the place."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if (self._taken and not self._headed) or self._is_unanswered():
            self._tell(_gives_way())
        self._close()

    def shutdown(self) -> None:
        if self._asking:
            self.cycle.keep_alive = False
        else:
            self._close()

    def _refuse(self, error: ApiError) -> None:
        """Say why, where no answer was begun."""
        if self.transport.is_closing():
            return
        if self._leaving or (self._headed and not self._is_unanswered()):
            self._close()
            return
        self._give_up()
        self._tell(error)
        self._leave()

    def _is_answered_early(self) -> bool:
        return self._headed and not self._whole and not self._asking

    def _is_unanswered(self) -> bool:
        return self._asking and not self.cycle.response_started

    def _give_up(self) -> None:
        """Let the application hear that its client is gone, to which it has nothing to say any more."""
        if self._asking:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._asking = False

    def _leave(self) -> None:
        """Say no more, and close a little later: what the client still sends would cut off what it reads."""
        self._leaving = True
        self.crowd.waits(self)
        self.transport.write_eof()
        self._after(DRAIN_SECONDS, self._close)

    def _tell(self, error: ApiError) -> None:
        """To what is no HTTP too: OpenAI's error object, as every other answer has it."""
        body = json.dumps(error.body()).encode()
        retry = f"retry-after: {RETRY_SECONDS}\r\n" if error.status in (429, 503) else ""
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

    def _close(self) -> None:
        """Close once what was said is with the client, who has to take it."""
        self._give_up()
        self.transport.close()
        self._unsent = self.transport.get_write_buffer_size()
        self._after(WRITE_SECONDS, self._cut)

    def _cut(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left > self._unsent - TRICKLE_BYTES:
            self.transport.abort()
        else:
            self._close()

    def _late(self) -> None:
        self._refuse(_invalid(f"The request's head did not come within {HEAD_SECONDS:g} s; send it faster."))

    def _idle(self) -> None:
        self._after(self.timeout_keep_alive, self._close)

    def _after(self, seconds: float, then: Callable[[], object]) -> None:
        self._after_nothing()
        if self in self.connections:
            self._due = self.loop.call_later(seconds, then)

    def _after_nothing(self) -> None:
        if self._due:
            self._due.cancel()
        self._due = None


class _PipelinedError(Exception):
    """A request came behind one that has no answer. What follows is never read: httptools cannot be stopped
    between two requests, and RFC 9112 lets a server close the connection behind the first answer."""


def _check(url: bytes, headers: list[tuple[bytes, bytes]], upgrade: bool) -> None:
    """ApiError where a whole head is none that this server answers."""
    if len(url) + sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES:
        raise _invalid(_LONG_HEAD)
    names = [name for name, _ in headers]
    if names.count(b"host") > 1:
        raise _invalid("The request has more than one Host header; send one.")
    if upgrade and not {b"content-length", b"transfer-encoding"}.isdisjoint(names):
        # httptools takes the body for what comes after the upgrade.
        raise _invalid("This server upgrades no connection; send plain HTTP/1.1, without an Upgrade header.")


def _invalid(message: str) -> ApiError:
    return ApiError(message, code="invalid_http")


def _gives_way() -> ApiError:
    return ApiError(
        "This server has too many connections, and this one brought no whole request yet; send it again.",
        status=503,
        code="too_many_connections",
        type="server_error",
    )


_NO_HTTP = "Invalid HTTP request received."
_LONG_HEAD = f"The request's head is longer than {MAX_HEAD_BYTES} bytes; send fewer headers."
_MANY_HEADERS = f"The request has more than {MAX_HEADERS} headers and trailers; send fewer."
_LINES = f"More than {MAX_HEAD_BYTES} bytes of chunk lines or trailers came in a row; send the body plain."
_BEHIND = f"More than {MAX_HEAD_BYTES} bytes came behind a request that has no answer yet; wait for that."
