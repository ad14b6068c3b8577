"""Clients that take what they can get, each a process of its own with an address of its own.

`python -m bench.noisy.attacks NAME PORT ADDRESS MODEL [KEY]` goes on until it is ended, and takes no answer,
error or closed connection for a reason to stop; every ten seconds it prints what it was answered. ADDRESS is
one of the loopback's, so that each is counted as a client of its own.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

TOLD_SECONDS = 10
PAUSE = 0.05
"""Between two tries of one connection: one that is refused at once must not only burn its own core."""

Attack = Callable[["Attacker"], Awaitable[None]]


@dataclass
class Attacker:
    """Where to, from which address, with which key ("" is none); `told` counts what came back."""

    port: int
    address: str
    model: str
    key: str
    told: Counter[str]

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0), **options)

    def chat(self, **fields: Any) -> bytes:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Say something long."}],
        } | fields
        return self.post(json.dumps(body).encode())

    def post(self, body: bytes) -> bytes:
        return self.head(f"content-type: application/json\r\ncontent-length: {len(body)}") + body

    def head(self, *headers: str) -> bytes:
        given = [f"authorization: Bearer {self.key}"] if self.key else []
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: localhost", *given, *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def ask(self, request: bytes) -> None:
        """Send a request, and read its answer to the end."""
        reader, writer = await self.connect()
        try:
            writer.write(request.replace(b"host:", b"connection: close\r\nhost:", 1))
            answer = await reader.read()
            self.told[answer[9:12].decode() or "closed"] += 1
        finally:
            writer.close()


async def schemas(to: Attacker) -> None:
    """Schemas that cost most of what their bytes may, six at a time, none twice."""

    async def one(number: int) -> None:
        salt = f"{number}-{random.randrange(10**9)}"
        names = [f"p{at}-{salt}" for at in range(2000)]
        schemas: list[dict[str, Any]] = [
            {"type": "object", "minProperties": 900, "maxProperties": 1000,
             "properties": {name: {"type": "string"} for name in names}},
            {"type": "object", "minProperties": 8, "maxProperties": 8,
             "properties": {name: {"type": "string"} for name in names[:500]}},
            {"anyOf": [{"type": "string", "minLength": at, "description": salt} for at in range(1500)]},
            {"type": "object", "properties": {name: {"type": "string"} for name in names[:510]}},
            {"type": "string", "pattern": r"(?i)\p{L}{115}\p{L}{115}" + salt},
            {"type": "string", "pattern": f"(a|b|{salt}){{200}}[^x]{{200}}"},
            {"type": "object", "properties": {salt: {"type": "number", "minimum": -1e15, "maximum": 1e15}}},
        ]  # fmt: skip
        schema = random.choice(schemas)
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        fields = {"tools": [tool]} if number % 2 else {"response_format": shape}
        await to.ask(to.chat(max_tokens=4, **fields))

    await _crowd(to, 6, one)


async def logprobs(to: Attacker) -> None:
    """The longest prompts that there may be, with all probabilities that can be asked for."""

    async def one(number: int) -> None:
        words = " ".join(random.choices(("one", "two", "three", "four"), k=1500))
        wanted = {"prompt_logprobs": 20} if number % 2 else {"logprobs": True, "top_logprobs": 20}
        await to.ask(to.chat(messages=[{"role": "user", "content": words}], max_tokens=8, **wanted))

    await _crowd(to, 4, one)


async def greedy(to: Attacker) -> None:
    """300 chats at once, each of 16 answers."""
    await _crowd(to, 300, lambda _: to.ask(to.chat(n=16, max_tokens=256, temperature=1)))


async def slow_readers(to: Attacker) -> None:
    """Streams that are read a byte a second."""

    async def one(_number: int) -> None:
        reader, writer = await to.connect(limit=64)
        try:
            writer.write(to.chat(stream=True, max_tokens=1000, logprobs=True, top_logprobs=20))
            while await reader.read(1):
                await asyncio.sleep(1)
            to.told["ended"] += 1
        finally:
            writer.close()

    await _crowd(to, 50, one)


async def dropped(to: Attacker) -> None:
    """Streams that are left as soon as they have begun."""

    async def one(_number: int) -> None:
        reader, writer = await to.connect()
        try:
            writer.write(to.chat(stream=True, max_tokens=1000))
            to.told[(await reader.read(12))[9:12].decode() or "closed"] += 1
        finally:
            writer.transport.abort()

    await _crowd(to, 20, one)


async def pipelines(to: Attacker) -> None:
    """Chats with requests behind them, whose client goes away meanwhile."""

    async def one(_number: int) -> None:
        _reader, writer = await to.connect()
        try:
            behind = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 50
            writer.write(to.chat(max_tokens=1000) + behind)
            await writer.drain()
            await asyncio.sleep(0.2)
            to.told["left"] += 1
        finally:
            writer.close()

    await _crowd(to, 50, one)


async def trailers(to: Attacker) -> None:
    """Trailers without end, behind a body of which nothing is wanted."""

    async def one(_number: int) -> None:
        _reader, writer = await to.connect()
        try:
            writer.write(to.head("transfer-encoding: chunked") + b"0\r\n")
            for at in range(10**6):
                writer.write(b"a%d: b\r\n" % at * 200)
                await writer.drain()
                to.told["sent 200 trailers"] += 1
        finally:
            writer.close()

    await _crowd(to, 4, one)


async def idle(to: Attacker) -> None:
    """As many connections as there are descriptors, each kept by a byte now and then."""

    async def one(_number: int) -> None:
        reader, writer = await to.connect()
        try:
            writer.write(to.head("content-length: 1000000"))
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(4)
            to.told["closed"] += 1
        finally:
            writer.close()

    await _crowd(to, 18_000, one)


async def slow_heads(to: Attacker) -> None:
    """Heads that come a byte at a time."""

    async def one(_number: int) -> None:
        reader, writer = await to.connect()
        try:
            for at in range(10**6):
                writer.write(b"G" if at == 0 else b"E")
                await writer.drain()
                if reader.at_eof():
                    break
                await asyncio.sleep(2)
            to.told["closed"] += 1
        finally:
            writer.close()

    await _crowd(to, 200, one)


async def _crowd(to: Attacker, many: int, one: Callable[[int], Awaitable[None]]) -> None:
    async def again(first: int) -> None:
        await asyncio.sleep(random.random())
        number = first
        while True:
            try:
                await one(number)
            except (OSError, asyncio.IncompleteReadError) as error:
                to.told[type(error).__name__] += 1
            await asyncio.sleep(PAUSE * random.uniform(0.5, 2))
            number += many

    await asyncio.gather(*map(again, range(many)))


WITH_KEY: tuple[Attack, ...] = (schemas, logprobs, greedy, slow_readers, dropped, pipelines)
WITHOUT: tuple[Attack, ...] = (trailers, idle, slow_heads)


async def _go_on(attack: Attack, to: Attacker) -> None:
    async def tell() -> None:
        while True:
            await asyncio.sleep(TOLD_SECONDS)
            print(json.dumps(to.told), flush=True)

    await asyncio.gather(attack(to), tell())


if __name__ == "__main__":
    name, port, address, model, *key = sys.argv[1:]
    attacker = Attacker(int(port), address, model, key[0] if key else "", Counter())
    asyncio.run(_go_on(next(one for one in WITH_KEY + WITHOUT if one.__name__ == name), attacker))
