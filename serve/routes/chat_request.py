"""From a request's bytes to what the engine is asked: parsed, bounded, and its adapter resolved once."""

import asyncio
import hmac
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import Request

from data.errors import shown
from serve.auth import require, require_scope
from serve.errors import ApiError
from serve.registry import strict_json
from serve.registry.keys import Key
from serve.registry.records import Version
from serve.routes.bounds import check_bounds
from serve.routes.fields import IGNORED, MAX_PROMPT_LOGPROBS
from serve.routes.tools import check_schemas, unheld_lengths
from serve.settings import Settings

T = TypeVar("T")

MAX_VALUES = 2**16
"""Members of objects and lists, with the commas of texts: a long conversation has some thousands."""

PLACE_BYTES = 2**12
"""Of a request, about a thousand tokens: to read them takes the engine as long as a short answer."""

MAX_NAMES = 8
"""Names that an error lists."""


_CHECKS = ThreadPoolExecutor(1, "schemas")
"""Schemas within their bounds take up to a tenth of a second to check, in which others are answered."""


async def unheld(body: dict[str, Any]) -> str | None:
    """Which bounds of the request's schemas are left to the model, for the header UNHELD, if any."""
    return await _of_schemas(body, unheld_lengths)


async def _of_schemas(body: dict[str, Any], work: Callable[[dict[str, Any]], T]) -> T | None:
    if body.get("tools") or body.get("response_format"):
        return await asyncio.get_running_loop().run_in_executor(_CHECKS, work, body)
    return None


async def parse(request: Request) -> dict[str, Any]:
    """The JSON object of the request, with only fields that this server knows, within their bounds."""
    try:
        body = strict_json.parse(strict_json.unmarked(await request.body()), MAX_VALUES)
    except ValueError as error:
        raise ApiError(
            f"The request's body cannot be read as JSON: {error}; send one JSON object in UTF-8.",
            code="invalid_json",
        ) from None
    if not isinstance(body, dict):
        raise ApiError(
            f"The request's body is a JSON {type(body).__name__}; send an object.", code="invalid_json"
        )
    body = check_bounds(body)
    await _of_schemas(body, check_schemas)
    return body


def places(body: dict[str, Any], size: int) -> int:
    """How much of the engine a request of `size` bytes takes, in short answers: each of `n` is one."""
    if "prompt_logprobs" in body:
        size *= 4  # each token of the prompt is compared with the whole vocabulary
    return max(body.get("n") or 1, -(-size // PLACE_BYTES))


def salt(secret: bytes, key: Key) -> str:
    """What the engine keeps a tenant's prefixes apart by: `cached_tokens` then tells of its own alone."""
    return hmac.digest(secret, key.tenant.encode(), "sha256").hex()


def check_prompt_logprobs(body: dict[str, Any], size: int, key: Key, settings: Settings) -> None:
    """ApiError where the key may not ask for a prompt's log probabilities, or for so many of them."""
    if (each := body.get("prompt_logprobs")) is None:
        return
    require_scope(key, "push", "prompt_logprobs")
    tokens = min(size, settings.context or size)  # a token has a byte at least
    if tokens * (each + 1) > MAX_PROMPT_LOGPROBS:
        raise ApiError(
            f"prompt_logprobs is {each}, which for a request of {size} bytes may be {tokens * (each + 1)} "
            f"log probabilities, of {MAX_PROMPT_LOGPROBS}; ask for fewer, or send a shorter prompt.",
            param="prompt_logprobs",
        )


async def choose(
    body: dict[str, Any], settings: Settings, registry: Any, key: Key, session: str | None
) -> tuple[str, Version | None]:
    """The name that was asked for, and the version that it means now; None is the base.

    Where there is a canary, requests of one `session`, else of one `user`, get the same version. Leaves only
    the engine's fields in `body`.
    """
    user = body.get("user")
    sticky = session or (user if isinstance(user, str) and user else None)
    model, adapter = body.pop("model", None), body.pop("adapter", None)
    for field, name in (("model", model), ("adapter", adapter)):
        if name is not None and not name.strip():
            raise await _nameless(field, settings, registry, key)
    for field in IGNORED:
        body.pop(field, None)
    if model is None or settings.names_base(model):
        asked = model or settings.base.name
        return asked, await _resolve(adapter, registry, key, sticky) if adapter is not None else None
    if adapter is not None and adapter != model:
        raise ApiError(
            f"model names {shown(model)!r} and adapter names {shown(adapter)!r}; send one of the two.",
            param="adapter",
        )
    return model, await _resolve(model, registry, key, sticky)


async def _nameless(field: str, settings: Settings, registry: Any, key: Key) -> ApiError:
    """An empty name is a variable that nobody set: it means no model, and not the base."""
    routes = [route.name for route in await asyncio.to_thread(registry.served)]
    names = [settings.base.name, *(name for name in routes if key.reaches(name.partition(":")[0]))]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ApiError(
        f"{field} is empty; send one of {', '.join(names[:MAX_NAMES])}{more}, or leave it out for the base.",
        param=field,
    )


async def _resolve(reference: str, registry: Any, key: Key, sticky: str | None) -> Version:
    # Before it is known whether there is one: a key learns nothing of adapters that are not its own.
    require(key, re.split("[:@]", reference, maxsplit=1)[0])
    version: Version = registry.resolve_at_hand(reference, sticky) or await asyncio.to_thread(
        registry.resolve, reference, sticky
    )
    return version
