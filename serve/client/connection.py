"""One conversation with a server: the key, retries where it is only busy, one sentence per failure."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import stamina

from data.errors import UserError
from data.home import api_key

DEFAULT_URL = "http://127.0.0.1:8321"
ATTEMPTS = 4

_PASSING = {408, 429, 502, 503, 504}
"""Answers that say: not now. Anything else stays wrong however often it is asked."""

_TIMEOUT = httpx.Timeout(30, read=600)
"""Seconds. A commit is answered once the engine has loaded the adapter, which waits for its turn."""


def server_url(url: str | None = None) -> str:
    """The server to talk to: as given, else `$ENXERTO_URL`, else this machine."""
    return (url or os.environ.get("ENXERTO_URL") or DEFAULT_URL).rstrip("/")


@contextmanager
def connect(url: str | None) -> Iterator[httpx.Client]:
    """A connection to the server, whose failures are one sentence each."""
    chosen = server_url(url)
    try:
        key = api_key(chosen)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=chosen, timeout=_TIMEOUT, headers=headers) as client:
            yield client
    except httpx.HTTPStatusError as error:
        hint = ""
        if error.response.status_code == 401:
            hint = " The command sends $ENXERTO_API_KEY, or on this machine the key that `serve up` made."
        raise UserError(f"{error}{hint}") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise UserError(
            f"no answer from {chosen} ({error}); start it with `serve up`, or name another with --url."
        ) from None


def ask(method: str, path: str, url: str | None, body: Any = None) -> dict[str, Any]:
    """One small request, repeated while the server is only busy: all of these may be said twice."""
    answer: dict[str, Any] = {}
    with connect(url) as client:
        for attempt in attempts():
            with attempt:
                answer = read(client.request(method, path, json=body))
    return answer


def attempts() -> Iterator[stamina.Attempt]:
    """Turns at something that may fail in passing; each but the first is announced on standard error."""
    stamina.instrumentation.set_on_retry_hooks([_announce])
    return iter(stamina.retry_context(on=_is_passing, attempts=ATTEMPTS, wait_initial=0.2))


def read(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object."""
    require_success(response)
    try:
        answer: dict[str, Any] = response.json()
    except ValueError:
        raise UserError(f"{response.url} did not answer in JSON; is that an Enxerto server?") from None
    return answer


def require_success(response: httpx.Response) -> None:
    """HTTPStatusError with the server's own sentence."""
    if not response.is_success:
        raise httpx.HTTPStatusError(_message(response), request=response.request, response=response)


def _announce(details: stamina.instrumentation.RetryDetails) -> None:
    sys.stderr.write(f"{details.caused_by}; trying again in {details.wait_for:.1f} s\n")


def _is_passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    return isinstance(error, (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError))


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code}; is that an Enxerto server?"
