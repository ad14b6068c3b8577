"""Closed-loop clients: each asks again as soon as it is answered, for a number of seconds."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx

TOKENS = 32
NEVER_ENDS = {"2": -100}
"""No end token, so that every answer is as long as every other."""


@dataclass
class Measured:
    """`first`: seconds to the first token of each answer. `gaps`: seconds between tokens after that."""

    seconds: float = 0
    tokens: int = 0
    first: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Tokens per second, over all clients."""
        return self.tokens / self.seconds

    def add(self, other: "Measured") -> None:
        self.seconds += other.seconds
        self.tokens += other.tokens
        self.first += other.first
        self.gaps += other.gaps


async def load(client: httpx.AsyncClient, models: Sequence[str], clients: int, seconds: float) -> Measured:
    """`clients` at once for `seconds`, with the models in turn; of the last answers a part is counted."""
    found = Measured(seconds)
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        asked = number
        while True:
            began = last = time.perf_counter()
            model = models[asked % len(models)]
            async with aclosing(tokens_of(client, model, f"Question {asked}?", TOKENS)) as arriving:
                async for now, tokens in arriving:
                    if now > end:
                        return
                    found.tokens += tokens
                    (found.first if last == began else found.gaps).append(now - last)
                    last = now
            asked += clients

    await asyncio.gather(*map(one, range(clients)))
    return found


async def tokens_of(
    client: httpx.AsyncClient, model: str, question: str, most: int
) -> AsyncGenerator[tuple[float, int], None]:
    """When tokens arrive, and how many at once."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": most,
        "temperature": 0,
        "logit_bias": NEVER_ENDS,
        "stream": True,
        "return_token_ids": True,
    }
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            await response.aread()
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                made = sum(len(one.get("token_ids") or []) for one in json.loads(line[6:])["choices"])
                if made:
                    yield time.perf_counter(), made
