"""An engine without a model that answers as vLLM does, in whatever way the last message asks for."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from serve.engine.protocol import Answer, served_name
from serve.errors import ApiError
from serve.registry.records import Version
from tests.serve import tiny
from tests.serve.tiny import Base, TinyEngine, TinyServer

FINGERPRINT = "vllm-tiny"
PROMPT_TOKENS = 5

GOOD, NO_OBJECT, CUT = '{"city": "Lisbon"}', '"Lisbon"', '{"city": "Lis'
"""Arguments of a call."""


class TalkingEngine(TinyEngine):
    """`words N` says N words, `call ARGUMENTS` calls a tool, `raw` leaves a call as text, `length` is cut.

    `refuse`, `break` and `die` fail: before the answer, in an event of the stream, by an exception in it.
    `wait` never comes to its second word, or to its answer.
    """

    def __init__(self, base_name: str) -> None:
        super().__init__(base_name)
        self.streaming = 0

    async def _noted(self, events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        self.streaming += 1
        try:
            async for event in events:
                yield event
        finally:
            self.streaming -= 1

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        heard = str(body["messages"][-1]["content"])
        name = served_name(version) if version else self.base_name
        kind, _, rest = heard.partition(" ")
        if kind == "refuse":
            raise ApiError("This is too much.", code="context_length_exceeded")
        if kind == "crash":
            raise RuntimeError("the engine lost its mind")
        finish = {"call": "tool_calls", "length": "length"}.get(kind, "stop")
        deltas = _deltas(kind, rest)
        choices = range(body.get("n") or 1)
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": len(deltas) * len(choices),
            "total_tokens": PROMPT_TOKENS + len(deltas) * len(choices),
        }
        head = {"id": "chatcmpl-1", "created": 1, "model": name}
        if body.get("stream"):
            options = body.get("stream_options") or {}
            wanted = options.get("include_usage") and usage
            return self._noted(_events(head, kind, deltas, finish, choices, wanted))
        if kind == "wait":
            await asyncio.Event().wait()
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(d.get("content", "") for d in deltas),
        }
        if kind == "call":
            message["tool_calls"] = [{"id": "1", "type": "function", "function": _function(rest)}]
        all_choices = [{"index": i, "message": message, "finish_reason": finish} for i in choices]
        whole = {"object": "chat.completion", "choices": all_choices, "usage": usage}
        return head | whole | {"system_fingerprint": FINGERPRINT}


def _function(arguments: str) -> dict[str, str]:
    return {"name": "get_weather", "arguments": arguments}


def _deltas(kind: str, rest: str) -> list[dict[str, Any]]:
    if kind == "words":
        return [{"content": f"word{number} "} for number in range(int(rest))]
    if kind == "call":
        half = len(rest) // 2
        first = {"index": 0, "id": "1", "type": "function", "function": _function(rest[:half])}
        return [
            {"tool_calls": [first]},
            {"tool_calls": [{"index": 0, "function": {"arguments": rest[half:]}}]},
        ]
    if kind == "raw":
        return [{"content": "<tool_"}, {"content": 'call>{"name": '}]
    return [{"content": "one "}, {"content": "two"}]


async def _events(
    head: dict[str, Any],
    kind: str,
    deltas: list[dict[str, Any]],
    finish: str,
    choices: range,
    usage: Any,
) -> AsyncGenerator[str, None]:
    """As vLLM 0.32 writes them: a chunk with the role, the last piece with the end, then the usage."""

    def event(**fields: Any) -> str:
        chunk = {**head, "object": "chat.completion.chunk", **fields}
        # vLLM's JSON has no blanks, and the route relies on that.
        return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"

    for index in choices:
        yield event(choices=[{"index": index, "delta": {"role": "assistant", "content": ""}}])
    for number, delta in enumerate(deltas):
        if number and kind == "wait":
            await asyncio.Event().wait()
        if number and kind == "die":
            raise RuntimeError("the engine is gone")
        if number and kind == "break":
            yield 'data: {"error":{"message":"It broke.","type":"InternalServerError","code":500}}\n\n'
            break
        for index in choices:
            choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": None}
            more = {}
            if number == len(deltas) - 1:
                choice["finish_reason"] = finish
                more = {} if usage else {"system_fingerprint": FINGERPRINT}
            yield event(choices=[choice], **more)
    else:
        if usage:
            yield event(choices=[], usage=usage, system_fingerprint=FINGERPRINT)
    yield "data: [DONE]\n\n"


def add(server: TinyServer, tmp_path: Path, base: Base, name: str, seed: int) -> None:
    adapter = tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed)
    server.registry.add(name, tiny.check_adapter(adapter, base))
    server.registry.set_alias(name, "default", 1)


def chat(http: httpx.Client, said: str, model: str = "support", **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": said}], **more}
    # The server closes the connection behind a crash; a client that keeps it would see that too late.
    headers = {"connection": "close"} if said == "crash" else {}
    return http.post("/v1/chat/completions", json=body, headers=headers)
