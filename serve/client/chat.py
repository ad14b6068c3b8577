"""A chat on the command line."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx

from data.errors import UserError
from serve.client.connection import connect, require_success


def chat(messages: list[dict[str, Any]], model: str, url: str | None = None) -> str:
    """Print an answer as it comes; the whole text. Calls of tools are printed as JSON, a line each."""
    body = {"model": model, "messages": messages, "stream": True}
    text = ""
    calls: dict[int, dict[str, str]] = {}
    with (
        connect(url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        if response.is_error:
            response.read()
        require_success(response)
        for delta in _deltas(response):
            if piece := delta.get("content"):
                text += piece
                sys.stdout.write(piece)
                sys.stdout.flush()
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"name": "", "arguments": ""})
                for field in call:
                    call[field] += part["function"].get(field) or ""
    sys.stdout.write("".join(f"\n{json.dumps(call)}" for call in calls.values()) + "\n")
    return text


def _deltas(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The pieces of a streamed answer (server-sent events, ended by `[DONE]`)."""
    for line in response.iter_lines():
        data = line.removeprefix("data: ")
        if data == line or data == "[DONE]":
            continue
        event = json.loads(data)
        if error := event.get("error"):
            raise UserError(error["message"])
        for choice in event["choices"]:
            yield choice["delta"]
