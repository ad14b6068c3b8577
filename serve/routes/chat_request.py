"""From a request's bytes to what the engine is asked: parsed, bounded, and its adapter resolved once."""

import asyncio
import json
import re
from typing import Any

from fastapi import Request

from serve.auth import require
from serve.errors import ApiError
from serve.registry.keys import Key
from serve.registry.records import Version
from serve.routes.chat_document import MAX_CHOICES
from serve.routes.fields import IGNORED, OURS, PASSED_ON
from serve.routes.tools import check_tools
from serve.settings import Settings


async def parse(request: Request) -> dict[str, Any]:
    """The JSON object of the request, with only fields that this server knows."""
    data = await request.body()
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ApiError(f"The request's body is not JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(
            f"The request's body is a JSON {type(body).__name__}; send an object.", code="invalid_json"
        )
    if unknown := sorted(body.keys() - PASSED_ON - IGNORED - OURS):
        raise ApiError(
            f"This server does not take the field {unknown[0][:100]!r}; remove it.",
            code="unknown_field",
            param=unknown[0][:100],
        )
    choices = body.get("n")
    if isinstance(choices, int) and choices > MAX_CHOICES:
        raise ApiError(f"n is at most {MAX_CHOICES}, not {choices}; ask several times.", param="n")
    check_tools(body.get("tools"))
    return body


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
    for field in IGNORED:
        body.pop(field, None)
    if not isinstance(model, str) or not model:
        raise ApiError(
            f"The request has no model; send the base's name {settings.base.name!r} or an adapter's.",
            param="model",
        )
    if adapter is not None and not isinstance(adapter, str):
        raise ApiError("adapter is a name in a string, as in model.", param="adapter")
    if settings.names_base(model):
        if adapter is None:
            return model, None
        return model, await _resolve(adapter, registry, key, sticky)
    if adapter is not None and adapter != model:
        raise ApiError(
            f"model names adapter {model[:100]!r} and adapter names {adapter[:100]!r}; send one of the two.",
            param="adapter",
        )
    return model, await _resolve(model, registry, key, sticky)


async def _resolve(reference: str, registry: Any, key: Key, sticky: str | None) -> Version:
    # Before it is known whether there is one: a key learns nothing of adapters that are not its own.
    require(key, re.split("[:@]", reference, maxsplit=1)[0])
    version: Version = await asyncio.to_thread(registry.resolve, reference, sticky)
    return version
