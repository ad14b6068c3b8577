"""What a chat request and its answer look like, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from serve.routes.fields import FIELDS
from serve.routes.parameters import DIGEST, example
from serve.routes.tools import UNHELD

REQUEST: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "ChatRequest",
                "type": "object",
                "required": ["messages"],
                "additionalProperties": False,
                "properties": {
                    name: {**field.schema, "description": field.says} for name, field in FIELDS.items()
                },
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
    """`message` has a `role`, `content` or null, `reasoning_content` or null, and a list of `tool_calls`."""

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
                "message": {
                    "role": "assistant",
                    "reasoning_content": None,
                    "content": "It left our house this morning.",
                    "tool_calls": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
                "stop_reason": None,
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
    }
    | {
        UNHELD: {
            "description": "Bounds of the request's schemas that are left to the model, by their schema.",
            "schema": {"type": "string"},
        }
    },
}
"""The route's answer with status 200."""
