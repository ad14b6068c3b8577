"""Any OpenAI-compatible endpoint over HTTP: patient with a busy one, clear about one that is gone."""

from types import TracebackType
from typing import Any

import httpx
import stamina

from data.errors import UserError
from data.home import api_key

ATTEMPTS = 6
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class RefusedError(Exception):
    """The endpoint answered with an HTTP error, also when asked again."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
        self.message = message


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
        self.url = url.rstrip("/").removesuffix("/v1")
        self._patience = patience_s
        key = api_key(self.url) if key is None else key
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=10),
            limits=httpx.Limits(max_connections=connections),
        )

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """One chat completion; RefusedError, httpx.TimeoutException, or UserError when nobody answers."""
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
            told = (await self._client.get("/health")).json()
        except (httpx.HTTPError, ValueError):
            return None
        found = told.get("fingerprint") if isinstance(told, dict) else None
        return found if isinstance(found, str) else None

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, attempts: int = ATTEMPTS
    ) -> dict[str, Any]:
        try:
            async for attempt in stamina.retry_context(
                on=_may_pass, attempts=attempts, timeout=self._patience, wait_initial=0.2
            ):
                with attempt:
                    return _read(await self._client.request(method, path, json=body))
        except httpx.TimeoutException:
            raise
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UserError(
                f"nobody answers at {self.url} ({error or type(error).__name__}); start the server with "
                "`serve up`, or give its address with --url."
            ) from None
        raise AssertionError("stamina returns or raises")


def _may_pass(error: Exception) -> bool:
    """Worth asking again: a busy server, a dropped connection; not a request that is wrong or too slow."""
    if isinstance(error, RefusedError):
        return error.status in _PASSING
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ReadTimeout)


def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        value = None
    if response.is_success and isinstance(value, dict):
        return value
    told = value.get("error", value) if isinstance(value, dict) else None
    message = told.get("message") if isinstance(told, dict) else None
    raise RefusedError(
        response.status_code, str(message or response.text[:200] or "an answer that is no JSON object")
    )
