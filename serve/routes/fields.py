"""The fields of a chat request, each with its bounds, as one table: a field that is not here is refused.

Requests are checked against it (`bounds.py`), the OpenAPI document shows it, and a test holds `docs/chat.md`
to it. The bounds are wide for what people send and narrow for what an engine can be made to suffer from.
"""

from dataclasses import dataclass
from typing import Any, Literal

MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_CHOICES = 16
"""The highest `n`; every choice is a sequence of its own in the engine."""

MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_BIASES = 1024
MAX_TOP_LOGPROBS = 20
MAX_NAME = 512
MAX_INTEGER = 2**53
"""Beyond it JSON numbers are not exact everywhere."""

TOOL_NAME = "^[a-zA-Z0-9_-]{1,64}$"
"""OpenAI's rule, and that of Mistral's format."""


def _maybe(kind: str, **rules: Any) -> dict[str, Any]:
    """A field of this JSON type that may be null, which is as good as absent."""
    return {"type": [kind, "null"], **rules}


_TEXT_ITEM = {
    "type": "object",
    "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}},
    "required": ["type", "text"],
}
_TEXT = {"type": ["string", "array"], "items": _TEXT_ITEM}
_CALL = {
    "type": "object",
    "required": ["id", "type", "function"],
    "properties": {
        "id": {"type": "string", "maxLength": MAX_NAME},
        "type": {"enum": ["function"]},
        "function": {
            "type": "object",
            "required": ["name", "arguments"],
            "properties": {
                "name": {"type": "string", "maxLength": MAX_NAME},
                "arguments": {"type": "string"},
            },
        },
    },
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"type": ["string", "array", "null"], "items": _TEXT_ITEM},
        "name": _maybe("string", maxLength=MAX_NAME),
        "tool_calls": _maybe("array", items=_CALL, maxItems=MAX_TOOLS),
        "tool_call_id": _maybe("string", maxLength=MAX_NAME),
        "reasoning_content": _maybe("string"),
    },
    "if": {"properties": {"role": {"enum": ["assistant"]}}},
    "else": {
        "required": ["content"],
        "properties": {"content": _TEXT},
        "if": {"properties": {"role": {"enum": ["tool"]}}},
        "then": {"required": ["tool_call_id"], "properties": {"tool_call_id": {"type": "string"}}},
    },
}
"""Other members of a message are taken and have no effect."""

_TOOL = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"enum": ["function"]},
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "pattern": TOOL_NAME},
                "description": _maybe("string"),
                "parameters": _maybe("object", description="A JSON schema; calls keep to it."),
                "strict": _maybe("boolean"),
            },
        },
    },
}
_TOOL_CHOICE = {
    "type": ["string", "object", "null"],
    "if": {"type": "object"},
    "then": {
        "required": ["type", "function"],
        "properties": {
            "type": {"enum": ["function"]},
            "function": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "pattern": TOOL_NAME}},
            },
        },
    },
    "else": {"enum": ["none", "auto", "required", None]},
}
_RESPONSE_FORMAT = _maybe(
    "object",
    required=["type"],
    properties={
        "type": {"enum": ["text", "json_object", "json_schema"]},
        "json_schema": _maybe(
            "object",
            required=["name"],
            properties={
                "name": {"type": "string", "maxLength": MAX_NAME},
                "description": _maybe("string"),
                "schema": _maybe("object"),
                "strict": _maybe("boolean"),
            },
        ),
    },
)


@dataclass(frozen=True)
class Field:
    """`schema` bounds the field's values; `fate` says where they go."""

    fate: Literal["chooses", "engine", "ignored"]
    says: str
    schema: dict[str, Any]


def _engine(says: str, schema: dict[str, Any]) -> Field:
    return Field("engine", says, schema)


def _ignored(says: str) -> Field:
    return Field("ignored", says, {})


FIELDS: dict[str, Field] = {
    "model": Field(
        "chooses",
        "The base's name, or an adapter's: NAME, NAME:ALIAS, NAME@NUMBER, NAME@sha256:HEX; else the base.",
        _maybe("string"),
    ),
    "adapter": Field(
        "chooses",
        "The adapter in the same forms, where `model` is the base's name or absent.",
        _maybe("string"),
    ),
    "messages": _engine(
        "The conversation; content is a string or a list of text items.",
        {"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": MESSAGE},
    ),
    "tools": _engine(
        "Functions that may be called. `parameters` may be left out. Calls keep to the schemas.",
        _maybe("array", maxItems=MAX_TOOLS, items=_TOOL),
    ),
    "tool_choice": _engine("none, auto, required, or one function by its name.", _TOOL_CHOICE),
    "parallel_tool_calls": _engine("false: one call at most.", _maybe("boolean")),
    "response_format": _engine("text, json_object, or json_schema with a schema.", _RESPONSE_FORMAT),
    "stream": _engine("Answer as server-sent events.", _maybe("boolean")),
    "stream_options": _engine(
        "include_usage: a last chunk with the usage.",
        _maybe("object", properties={"include_usage": _maybe("boolean")}),
    ),
    "n": _engine("Answers to choose from.", _maybe("integer", minimum=1, maximum=MAX_CHOICES)),
    "stop": _engine(
        "Strings before which the answer ends.",
        {
            "type": ["string", "array", "null"],
            "maxLength": MAX_STOP_CHARACTERS,
            "maxItems": MAX_STOPS,
            "items": {"type": "string", "maxLength": MAX_STOP_CHARACTERS},
        },
    ),
    "seed": _engine("For the same sample again.", _maybe("integer", minimum=-(2**63), maximum=2**63 - 1)),
    "max_tokens": _engine(
        "The answer's tokens at most; more than the context has left is as much as it has left.",
        _maybe("integer", minimum=1, maximum=MAX_INTEGER),
    ),
    "max_completion_tokens": _engine(
        "The same by its newer name, which wins.", _maybe("integer", minimum=1, maximum=MAX_INTEGER)
    ),
    "temperature": _engine("0 is greedy.", _maybe("number", minimum=0, maximum=2)),
    "top_p": _engine("0 is the likeliest token alone.", _maybe("number", minimum=0, maximum=1)),
    "frequency_penalty": _engine("As OpenAI's.", _maybe("number", minimum=-2, maximum=2)),
    "presence_penalty": _engine("As OpenAI's.", _maybe("number", minimum=-2, maximum=2)),
    "logit_bias": _engine(
        "Token ids to what is added to their logits.",
        _maybe(
            "object",
            maxProperties=MAX_BIASES,
            propertyNames={"pattern": "^[0-9]{1,7}$"},
            additionalProperties={"type": "number", "minimum": -100, "maximum": 100},
        ),
    ),
    "logprobs": _engine("Log-probabilities of the answer's tokens.", _maybe("boolean")),
    "top_logprobs": _engine(
        "How many alternatives with them.", _maybe("integer", minimum=0, maximum=MAX_TOP_LOGPROBS)
    ),
    "reasoning_effort": _engine(
        "For templates that know of it.", _maybe("string", maxLength=16, pattern="^[a-z]+$")
    ),
    "user": _engine("Who asks; it changes no answer.", _maybe("string", maxLength=MAX_NAME)),
    "top_k": _engine(
        "vLLM's: the likeliest tokens to sample from.", _maybe("integer", minimum=-1, maximum=2**31 - 1)
    ),
    "min_p": _engine("vLLM's.", _maybe("number", minimum=0, maximum=1)),
    "repetition_penalty": _engine("vLLM's.", _maybe("number", exclusiveMinimum=0, maximum=10)),
    "prompt_logprobs": _engine(
        "vLLM's: alternatives for each token of the prompt, for perplexity and parity.",
        _maybe("integer", minimum=0, maximum=MAX_TOP_LOGPROBS),
    ),
    "add_generation_prompt": _engine("vLLM's, for perplexity and parity.", {"type": "boolean"}),
    "continue_final_message": _engine("vLLM's, for perplexity and parity.", {"type": "boolean"}),
    "return_token_ids": _engine("vLLM's, for perplexity and parity.", _maybe("boolean")),
    "store": _ignored("OpenAI's housekeeping."),
    "metadata": _ignored("OpenAI's housekeeping."),
    "service_tier": _ignored("OpenAI's housekeeping."),
    "safety_identifier": _ignored("OpenAI's housekeeping."),
    "prompt_cache_key": _ignored("OpenAI's housekeeping."),
    "prompt_cache_retention": _ignored("OpenAI's housekeeping."),
    "prediction": _ignored("OpenAI's hint for speed, which changes no answer."),
}

OURS = frozenset(name for name, field in FIELDS.items() if field.fate == "chooses")
"""Which model and adapter answer; the engine gets its own name for them."""

IGNORED = frozenset(name for name, field in FIELDS.items() if field.fate == "ignored")
"""Clients send these by habit, and they change no answer."""

PASSED_ON = FIELDS.keys() - OURS - IGNORED

REFUSED: dict[str, str] = {
    "chat_template": "a template runs as code in the server",
    "chat_template_kwargs": "they would change what adapters were trained on",
    "documents": "the templates of trainer and server know none",
    "prompt_embeds": "vectors from strangers are no text",
    "structured_outputs": "send response_format",
    "guided_json": "send response_format",
    "guided_regex": "send response_format",
    "guided_grammar": "send response_format",
    "functions": "send tools",
    "function_call": "send tool_choice",
    "modalities": "this model reads and writes text alone",
    "audio": "this model reads and writes text alone",
    "web_search_options": "this model searches nothing",
    "ignore_eos": "an answer ends where the model ends it",
    "min_tokens": "an answer ends where the model ends it",
    "use_beam_search": "it multiplies the work of every token",
    "logits_processors": "they run as code in the server",
    "mm_processor_kwargs": "this model reads and writes text alone",
    "kv_transfer_params": "they reach into other machines",
    "vllm_xargs": "they reach into the engine",
    "cache_salt": "caches are kept apart by adapter already",
    "priority": "requests take their turns",
    "request_id": "ids are this server's to give",
    "truncate_prompt_tokens": "a prompt that is too long is refused, not cut",
    "echo": "the prompt is the client's already",
}
"""The best known of those that are not taken, and why; every other unknown field is refused like them."""
