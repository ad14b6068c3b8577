"""One conversation with a server: the key, retries where it is only busy, one sentence per failure."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import stamina

from data.endpoint import root_of
from data.errors import UserError, plain
from data.home import api_key, key_file_for

DEFAULT_URL = "http://127.0.0.1:8321"
ATTEMPTS = 4

_PASSING = {408, 429, 502, 503, 504}
"""Answers that say: not now. Anything else stays wrong however often it is asked."""

_TIMEOUT = httpx.Timeout(30, read=600)
"""Seconds. A commit is answered once the engine has loaded the adapter, which waits for its turn."""


def server_url(url: str | None = None) -> str:
    """The root of the server to talk to: as given, else `$ENXERTO_URL`, else this machine."""
    return root_of(url or os.environ.get("ENXERTO_URL") or DEFAULT_URL)


class Client(httpx.Client):
    """An HTTP client that knows whether anybody answered it yet."""

    answered = False

    def send(self, *arguments: Any, **options: Any) -> httpx.Response:
        response = super().send(*arguments, **options)
        self.answered = True
        return response


@contextmanager
def connect(url: str | None) -> Iterator[Client]:
    """A connection to the server, whose failures are one sentence each."""
    chosen = server_url(url)
    try:
        key = api_key(chosen)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with _client(chosen, headers) as client:
            yield client
    except httpx.HTTPStatusError as error:
        raise UserError(f"{error}{_key_hint(chosen) if error.response.status_code == 401 else ''}") from None
    except (httpx.ReadTimeout, httpx.WriteTimeout):
        raise UserError(
            f"{chosen} has said nothing for too long; look at its log with `serve logs`."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise UserError(
            f"no answer from {chosen} ({error}); start it with `serve up`, or name another with --url."
        ) from None


def _client(url: str, headers: dict[str, str]) -> Client:
    """A client by what the shell says of key, proxies and certificates; UserError where that is none."""
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise UserError(f"The key holds characters that no key has.{_key_hint(url)}")
    try:
        return Client(base_url=url, timeout=_TIMEOUT, headers=headers)
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        # httpx reads the proxies and certificates of the environment here, and asks nobody yet.
        raise UserError(
            f"{url} cannot be asked by what this shell says of proxies and certificates ({error}); correct "
            "or unset HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
        ) from None


def ask(method: str, path: str, url: str | None, body: Any = None) -> dict[str, Any]:
    """One small request, repeated while the server is only busy: all of these may be said twice."""
    answer: dict[str, Any] = {}
    with connect(url) as client:
        for attempt in attempts(client):
            with attempt:
                answer = read(client.request(method, path, json=body))
    return answer


def attempts(client: Client) -> Iterator[stamina.Attempt]:
    """Turns at something that may fail in passing; each but the first is announced on standard error.

    A server that never answered `client` is not there: nobody is asked twice to find that out.
    """

    def worth_it(error: Exception) -> bool:
        return _is_passing(error) and (client.answered or not isinstance(error, httpx.ConnectError))

    stamina.instrumentation.set_on_retry_hooks([_announce])
    return iter(stamina.retry_context(on=worth_it, attempts=ATTEMPTS, wait_initial=0.2))


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


def _key_hint(url: str) -> str:
    """Which key was sent, or why none."""
    if os.environ.get("ENXERTO_API_KEY"):
        return " The command sent $ENXERTO_API_KEY; unset it, or set it to a key of this server."
    file = key_file_for(url)
    if file is None:
        return " Set $ENXERTO_API_KEY to a key that the server's owner made with `serve keys create`."
    return (
        f" The command sent the one in {file}; on the server's own machine `serve keys create NAME --scope "
        "admin --local` makes another, to be put there or in $ENXERTO_API_KEY."
    )


def _message(response: httpx.Response) -> str:
    try:
        return plain(str(response.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code}; is that an Enxerto server?"
