"""A small endpoint that obeys the real protocol: it renders, counts tokens and gives their log
probabilities, so that what a client computes can be checked against a closed form."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BASE = "tiny-base"
FINGERPRINT = "sha256:" + "f" * 64
Message = dict[str, Any]
PROBE: list[Message] = [{"role": "user", "content": "Hi"}]


def logprob(token: str) -> float:
    """Longer tokens are less likely; any fixed rule will do."""
    return -0.25 * len(token)


def tokens_of(text: str) -> list[str]:
    return re.findall(r"<\w+>|\w+|[^\w\s]", text)


def call(name: str, arguments: str) -> Message:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }


def words(text: str) -> Message:
    return {"role": "assistant", "content": text, "tool_calls": []}


def error(status: int, message: str, code: str) -> JSONResponse:
    body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": body}, status)


def render(body: dict[str, Any]) -> list[str]:
    """The prompt's tokens: what a chat template and a tokenizer make of the messages."""
    rendered = []
    for message in body["messages"]:
        text = f"{message['role']} {message.get('content') or ''}"
        rendered += ["<start>", *tokens_of(text), "<end>"]
    if body.get("continue_final_message"):
        rendered.pop()
    if body.get("add_generation_prompt", True):
        rendered += ["<start>", "assistant"]
    return rendered


@dataclass
class Fake:
    """`reply(adapter name or None, last user text)` gives the assistant's message."""

    reply: Callable[[str | None, str], Message] = lambda adapter, text: words("ok")
    adapters: dict[str, str] = field(default_factory=dict)
    """Name (or `name:alias`) to digest; change one to move the alias."""
    failures: list[int] = field(default_factory=list)
    """Statuses that the next chat requests get instead of an answer."""
    fingerprint: str | None = FINGERPRINT
    logprobs: bool = True
    wrong_adapter: bool = False
    shifty: bool = False
    """Whether the prompt is rendered differently once an answer follows it."""
    delay_s: float = 0
    slow: str = ""
    """Only requests with this text in the last message are delayed."""
    at_once: int = 0
    """No question is answered before so many were under way at the same time."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    """The authorization headers of all chat requests."""
    busy: int = 0
    most_busy: int = 0
    url: str = ""
    stop: Callable[[], None] = lambda: None
    """Ends the server, as a person would: what is under way is answered."""

    def questions(self) -> list[dict[str, Any]]:
        """Every chat request but the probes of one token."""
        return [body for body in self.asked if body["messages"] != PROBE]

    def app(self) -> Starlette:
        chat = Route("/v1/chat/completions", self._chat, methods=["POST"])
        return Starlette(routes=[chat, Route("/v1/models", self._models), Route("/health", self._health)])

    async def _health(self, request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "base": BASE, "fingerprint": self.fingerprint})

    async def _models(self, request: Request) -> JSONResponse:
        cards: list[dict[str, Any]] = [{"id": BASE, "object": "model", "parent": None}]
        cards += [{"id": name, "object": "model", "parent": BASE} for name in self.adapters]
        return JSONResponse({"object": "list", "data": cards})

    def _resolve(self, model: str) -> str | None:
        name, _, digest = model.partition("@")
        for known, held in self.adapters.items():
            if model == known or (name == known.partition(":")[0] and digest == held):
                return known
        return None

    async def _chat(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.asked.append(body)
        self.keys.add(request.headers.get("authorization"))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.failures:
                return error(self.failures.pop(0), "try later", "busy")
            if self.delay_s and self.slow in str(body["messages"][-1]):
                await asyncio.sleep(self.delay_s)
            while body["messages"] != PROBE and self.most_busy < self.at_once:
                await asyncio.sleep(0.01)
            return self._answer(body)
        finally:
            self.busy -= 1

    def _answer(self, body: dict[str, Any]) -> JSONResponse:
        adapter = self._resolve(body["model"])
        if adapter is None and body["model"] != BASE:
            return error(404, f"unknown model {body['model']!r}; did you mean 'support'?", "model_not_found")
        told = adapter and {"name": adapter.partition(":")[0], "version": 1, "digest": self.adapters[adapter]}
        if self.wrong_adapter and len(self.asked) > 3:
            told = None
        messages, rendered = body["messages"], render(body)
        if self.shifty and body.get("add_generation_prompt", True):
            rendered[1] += "s"
        logprobs = None
        if body.get("prompt_logprobs") == 0 and self.logprobs:
            scored: list[Any] = [
                {str(hash(token)): {"logprob": logprob(token), "rank": 1, "decoded_token": token}}
                for token in rendered
            ]
            logprobs = [None, *scored[1:]]
        last = next(message["content"] for message in reversed(messages) if message["role"] == "user")
        message = self.reply(adapter, last)
        finish = "tool_calls" if message["tool_calls"] else "stop"
        return JSONResponse(
            {
                "object": "chat.completion",
                "model": body["model"],
                "adapter": told,
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {
                    "prompt_tokens": len(rendered),
                    "completion_tokens": 3,
                    "total_tokens": len(rendered) + 3,
                },
                "prompt_logprobs": logprobs,
            }
        )


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """The endpoint on a free port, in a thread of its own."""
    server = uvicorn.Server(
        uvicorn.Config(fake.app(), port=0, log_level="error", timeout_graceful_shutdown=1)
    )

    def stop() -> None:
        server.should_exit = True

    fake.stop = stop
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.should_exit = True
        thread.join(timeout=10)
