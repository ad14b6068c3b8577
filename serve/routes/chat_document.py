"""What a chat request and its answer look like, for the OpenAPI document: the engine checks the requests."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from serve.routes.fields import IGNORED, PASSED_ON
from serve.routes.parameters import DIGEST, example

MAX_CHOICES = 16
"""The highest `n`; every choice is a sequence of its own in the engine."""

_MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"type": ["string", "array", "null"], "items": {"type": "object"}},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "tool_call_id": {"type": "string"},
    },
}
_TOOL = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "description": {"type": "string"},
                "parameters": {"type": "object", "description": "A JSON schema; calls keep to it."},
            },
        },
    },
}
_MAIN: dict[str, Any] = {
    "model": {
        "type": "string",
        "description": "The base's name, or an adapter's: NAME, NAME:ALIAS, NAME@NUMBER, NAME@sha256:HEX.",
    },
    "adapter": {
        "type": ["string", "null"],
        "description": "The adapter in the same forms, where `model` is the base's name.",
    },
    "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
    "tools": {"type": ["array", "null"], "items": _TOOL},
    "stream": {"type": ["boolean", "null"], "description": "Answer as server-sent events."},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_CHOICES},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    "seed": {"type": ["integer", "null"]},
    "stop": {"type": ["string", "array", "null"], "items": {"type": "string"}},
}

_PASSED_ON = {"description": "As OpenAI's or vLLM's field of this name."}
_IGNORED = {"description": "Taken, and without effect."}
_OTHERS = {name: _IGNORED if name in IGNORED else _PASSED_ON for name in sorted(PASSED_ON | IGNORED)}

REQUEST: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "ChatRequest",
                "type": "object",
                "required": ["model", "messages"],
                "additionalProperties": False,
                "properties": _MAIN | {name: said for name, said in _OTHERS.items() if name not in _MAIN},
            },
            "example": {
                "model": "support",
                "messages": [{"role": "user", "content": "Where is my parcel?"}],
                "max_tokens": 200,
            },
        }
    },
}
"""The route's `requestBody`."""


class ServedBy(BaseModel):
    """The version that answered."""

    name: str
    version: int
    digest: str


class Choice(BaseModel):
    """`message` has a `role`, and `content`, `tool_calls` or both."""

    model_config = ConfigDict(extra="allow")
    index: int
    message: dict[str, Any]
    finish_reason: str | None = None


class ChatAnswer(BaseModel):
    """OpenAI's completion; `model` is the name that was asked for. `adapter` null: the base answered."""

    model_config = ConfigDict(extra="allow") | example(
        id="chatcmpl-9f",
        object="chat.completion",
        created=1_777_887_000,
        model="support",
        choices=[
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It left our house this morning."},
                "finish_reason": "stop",
            }
        ],
        usage={"prompt_tokens": 31, "completion_tokens": 8, "total_tokens": 39},
        adapter={"name": "support", "version": 3, "digest": DIGEST},
    )
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, Any] | None = None
    adapter: ServedBy | None


_CHUNK = '{"model":"support","adapter":null,"choices":[{"index":0,"delta":{"content":"It"}}]}'

ANSWER: dict[str, Any] = {
    "model": ChatAnswer,
    "description": "The answer; with `stream`, its chunks as events, an `adapter` in each, then [DONE].",
    "content": {
        "text/event-stream": {
            "itemSchema": {"type": "object", "properties": {"data": {"type": "string"}}},
            "example": f"data: {_CHUNK}\n\ndata: [DONE]\n\n",
        }
    },
    "headers": {
        name: {"description": f"The {what} that answered, where one did.", "schema": {"type": "string"}}
        for name, what in (
            ("x-adapter", "adapter"),
            ("x-adapter-version", "version"),
            ("x-adapter-digest", "digest"),
        )
    },
}
"""The route's answer with status 200."""
