"""Every request has an id: the client's own where it sends one; in the answer's head and every log line."""

import logging
import re
import sys
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.metrics import NONE, OTHER, Metrics

HEADER = "x-request-id"
REQUEST_LOG = "serve.requests"
"""The logger of one JSON line a chat request."""

current: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that is being answered here."""

_SANE = re.compile(r"[!-~]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestIds:
    """ASGI middleware, the outermost: gives each request its id and counts its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # It stays set: what goes past here is logged by the HTTP server, in this same task.
        current.set(_chosen(Headers(scope=scope).get(HEADER)))
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = current.get()
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            # The route's template, never the path: clients make up paths.
            route = getattr(scope.get("route"), "path", NONE)
            method = scope["method"] if scope["method"] in _METHODS else OTHER
            self._metrics.http.labels(method, route, str(status)).inc()


def log_to_standard_error() -> None:
    """Send this process's log to standard error, every line of it with its request's id.

    A line of `REQUEST_LOG` stays pure JSON: its id is one of its fields.
    """
    lines = logging.StreamHandler(sys.stderr)
    lines.addFilter(_add_id)
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"))
    logging.getLogger().addHandler(lines)
    requests = logging.getLogger(REQUEST_LOG)
    requests.setLevel(logging.INFO)
    requests.propagate = False
    requests.addHandler(logging.StreamHandler(sys.stderr))


def _add_id(record: logging.LogRecord) -> bool:
    record.request_id = current.get()
    return True


def _chosen(given: str | None) -> str:
    """The client's id where it is short and printable without blanks, so that no log line can be forged."""
    return given if given and _SANE.fullmatch(given) else uuid.uuid4().hex
