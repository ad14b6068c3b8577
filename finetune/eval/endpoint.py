"""Any OpenAI-compatible endpoint over HTTP: patient with a busy one, clear about one that is gone.

aiohttp, because with 64 requests under way a request costs httpx 2 ms of this process, and aiohttp 0.2.
"""

import json
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import stamina

from data.endpoint import root_of
from data.errors import UserError
from data.home import api_key

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 30.0


class RefusedError(Exception):
    """The endpoint answered with an HTTP error, also when asked again."""

    def __init__(self, status: int, message: str, wait_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
        self.message = message
        self.wait_s = wait_s
        """What the endpoint said in `Retry-After`."""


class SlowError(Exception):
    """No answer in time."""


class Endpoint:
    """Use as an async context manager. `url` may end in `/v1` or not.

    `key` stands for the one that belongs to this machine's own servers; "" sends none.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float,
        connections: int = 8,
        patience_s: float = 60,
        key: str | None = None,
    ) -> None:
        self.url = root_of(url)
        self._patience = patience_s
        self._key = api_key(self.url) if key is None else key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10)
        self._connections = connections

    async def __aenter__(self) -> "Endpoint":
        self._session = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._connections),
            proxy=_proxy(self.url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """One chat completion; RefusedError, SlowError, or UserError when nobody answers."""
        return await self._ask("POST", "/v1/chat/completions", body)

    async def models(self) -> list[dict[str, Any]]:
        """The entries of GET /v1/models."""
        # The first contact: a server that was never started should be told of at once.
        listing = await self._ask("GET", "/v1/models", attempts=2)
        entries = listing.get("data")
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    async def fingerprint(self) -> str | None:
        """The base's fingerprint; None where the endpoint tells none."""
        try:
            told = await self._send("GET", "/health", None)
        except (RefusedError, TimeoutError, aiohttp.ClientError):
            return None
        found = told.get("fingerprint")
        return found if isinstance(found, str) else None

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, attempts: int | None = None
    ) -> dict[str, Any]:
        """Asked again for a minute: as long as an engine that died takes to be back."""
        try:
            async for attempt in stamina.retry_context(
                on=_may_pass, attempts=attempts, timeout=self._patience, wait_initial=0.2
            ):
                with attempt:
                    return await self._send(method, path, body)
        except aiohttp.ConnectionTimeoutError as error:
            raise self._nobody(error) from None
        except TimeoutError:
            raise SlowError(f"no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise self._nobody(error) from None
        raise AssertionError("stamina returns or raises")

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        async with self._session.request(
            method, self.url + path, json=body, allow_redirects=False
        ) as response:
            text = await response.text(errors="replace")
            wait = response.headers.get("retry-after", "")
            return _read(response.status, text, min(float(wait), _LONGEST_WAIT_S) if wait.isdigit() else None)

    def _nobody(self, error: Exception) -> UserError:
        return UserError(
            f"nobody answers at {self.url} ({error or type(error).__name__}); start the server with "
            "`serve up`, or give its address with --url."
        )


def _proxy(url: str) -> str | None:
    """What the environment says (`HTTPS_PROXY`, `NO_PROXY`); aiohttp alone would look at every request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _may_pass(error: Exception) -> bool | float:
    """Worth asking again: a busy server, a dropped connection; not a request that is wrong or too slow."""
    if isinstance(error, RefusedError):
        return error.status in _PASSING and (True if error.wait_s is None else error.wait_s)
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return False
    return isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError)


def _read(status: int, text: str, wait_s: float | None) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if 200 <= status < 300 and isinstance(value, dict):
        return value
    told = value.get("error", value) if isinstance(value, dict) else None
    message = told.get("message") if isinstance(told, dict) else None
    raise RefusedError(status, str(message or text[:200] or "an answer that is no JSON object"), wait_s)
