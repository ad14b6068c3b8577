"""A chat on the command line."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from data.errors import UserError, plain
from serve.client.connection import connect, require_success

MAX_TOKENS = 512
"""Of an answer, where nobody says another: a small model that has lost its way would go on for minutes."""


@dataclass(frozen=True)
class Manner:
    """How answers are made; `temperature` None is the server's default."""

    max_tokens: int = MAX_TOKENS
    temperature: float | None = None


def chat(
    messages: list[dict[str, Any]], model: str, url: str | None = None, manner: Manner | None = None
) -> str:
    """Print an answer as it comes; the whole text. Calls of tools are printed as JSON, a line each."""
    manner = manner or Manner()
    body = {"model": model, "messages": messages, "stream": True, "max_tokens": manner.max_tokens}
    if manner.temperature is not None:
        body["temperature"] = manner.temperature
    text, finish = "", None
    calls: dict[int, dict[str, str]] = {}
    with (
        connect(url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        _require_success(response)
        for choice in _choices(response):
            finish = choice.get("finish_reason") or finish
            delta = choice["delta"]
            if piece := delta.get("content"):
                text += piece
                sys.stdout.write(_seen(piece))
                sys.stdout.flush()
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"name": "", "arguments": ""})
                for field in call:
                    call[field] += part["function"].get(field) or ""
    written = [json.dumps(call) for call in calls.values()]
    sys.stdout.write("\n" * bool(text and written) + _seen("\n".join(written)) + "\n")
    sys.stdout.flush()
    if finish == "length":
        sys.stderr.write(f"(cut after {manner.max_tokens} tokens; --max-tokens allows more)\n")
    return text or "\n".join(written)


def _seen(text: str) -> str:
    """What a model says, as it is for a program, and as text alone for a terminal."""
    return plain(text, keep="\n\t") if sys.stdout.isatty() else text


def _require_success(response: httpx.Response) -> None:
    if response.is_error:
        response.read()
    try:
        require_success(response)
    except httpx.HTTPStatusError as error:
        said = _in_options(str(error))
        raise httpx.HTTPStatusError(said, request=error.request, response=response) from None


def _in_options(message: str) -> str:
    """The server's advice, which names fields of the request, in this command's own terms."""
    return message.replace("with max_tokens", "with --max-tokens")


def _choices(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The pieces of a streamed answer (server-sent events, ended by `[DONE]`)."""
    for line in response.iter_lines():
        data = line.removeprefix("data: ")
        if data == line or data == "[DONE]":
            continue
        event = json.loads(data)
        if error := event.get("error"):
            raise UserError(_in_options(error["message"]))
        yield from event["choices"]
