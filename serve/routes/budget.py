"""A chat against its key's limits: reserved before the engine is asked, settled once the answer has ended."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from math import ceil
from typing import Any

from data.errors import UserError
from serve.errors import ApiError
from serve.registry.budgets import Limit, Reserve
from serve.registry.keys import Key, Limits
from serve.settings import Settings

UNKNOWN_CONTEXT = 2**15
"""Tokens that an answer may have where the base does not say."""

log = logging.getLogger(__name__)


async def reserve(
    budgets: Any,
    key: Key,
    tokens: int,
    held: AsyncExitStack,
    used: Callable[[], int | None],
) -> dict[str, str]:
    """Headers that say what is left to the key; ApiError where nothing is.

    What was reserved is settled with `held`, by what `used` says then: None for all of it.
    """
    if key.limits == Limits():
        return {}
    reserved: Reserve = await asyncio.to_thread(budgets.reserve, key, tokens)
    headers = _headers(reserved.limits)
    if reserved.over:
        raise _over(key, reserved.over, headers)

    async def settle() -> None:
        if (said := used()) is None:
            return
        try:
            await asyncio.to_thread(budgets.settle, reserved, said)
        except UserError as error:
            log.warning("%d tokens of the key %s stay reserved: %s", tokens, key.name, error)

    held.push_async_callback(_to_its_end, settle)
    return headers


def most_tokens(body: dict[str, Any], size: int, settings: Settings) -> int:
    """Tokens that a request of `size` bytes and its answers may have: one has a byte at least."""
    context = settings.context or UNKNOWN_CONTEXT
    prompt = min(size, context)
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or context
    return int(prompt + (body.get("n") or 1) * min(asked, context))


async def _to_its_end(settle: Callable[[], Any]) -> None:
    """Also where the request is cancelled meanwhile."""
    await asyncio.shield(asyncio.ensure_future(settle()))


def _headers(limits: tuple[Limit, ...]) -> dict[str, str]:
    """OpenAI's; of two limits on tokens that of which less is left."""
    headers: dict[str, str] = {}
    for limit in sorted(limits, key=lambda one: -one.left):
        kind = limit.what.split()[0]
        headers |= {
            f"x-ratelimit-limit-{kind}": str(limit.most),
            f"x-ratelimit-remaining-{kind}": str(limit.left),
            f"x-ratelimit-reset-{kind}": f"{ceil(limit.resets)}s",
        }
    return headers


def _over(key: Key, limit: Limit, headers: dict[str, str]) -> ApiError:
    seconds = max(1, ceil(limit.resets))
    return ApiError(
        f"The API key {key.name!r} has used or reserved its {limit.most} {limit.what}, so 0 are left; "
        f"there are new ones in {seconds} s.",
        status=429,
        code="budget_exceeded" if limit.what.endswith("day") else "rate_limit_exceeded",
        type="rate_limit_error",
        headers={"retry-after": str(seconds), **headers},
    )
