"""The fields of a chat request, each with its bounds, as one table: a field that is not here is refused.

Requests are checked against it (`bounds.py`), the OpenAPI document shows it, and a test holds `docs/chat.md`
to it. The bounds are wide for what people send and narrow for what an engine can be made to suffer from.
"""

from dataclasses import dataclass
from typing import Any, Literal

from serve.routes.messages import MAX_NAME, MESSAGE, maybe, silent

MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_CHOICES = 16
"""The highest `n`; every choice is a sequence of its own in the engine."""

MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_BIASES = 1024
MAX_TOP_LOGPROBS = 20
MIN_REPETITION_PENALTY = 0.01
"""What is very near 0 is 0 to the engine, which divides by it."""

MAX_PROMPT_LOGPROBS = 2**17
"""Log probabilities of a prompt: one for each of its tokens, and as many more as are asked for."""

MAX_INTEGER = 2**53
"""Beyond it JSON numbers are not exact everywhere."""

TOOL_NAME = "^[a-zA-Z0-9_-]{1,64}$"
"""OpenAI's rule, and that of Mistral's format."""

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
                "description": maybe("string"),
                "parameters": maybe("object", description="A JSON schema; calls keep to it."),
                "strict": maybe("boolean"),
                **silent("return", "returns", "cache_control"),
            },
        },
        **silent("cache_control"),
    },
}
ANY = "any"
"""What Mistral's API calls the choice that OpenAI's calls required."""

_TOOL_CHOICE = {
    "type": ["string", "object", "null"],
    "required": ["type", "function"],
    "properties": {
        "type": {"enum": ["function"]},
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": TOOL_NAME}},
        },
    },
    "if": {"type": "string"},
    "then": {"enum": ["none", "auto", "required", ANY]},
}
_JSON_SCHEMA = maybe(
    "object",
    required=["name"],
    properties={
        "name": {"type": "string", "maxLength": MAX_NAME},
        "schema": maybe("object"),
        "strict": maybe("boolean"),
        **silent("description"),
    },
)
_RESPONSE_FORMAT = maybe(
    "object",
    required=["type"],
    properties={"type": {"enum": ["text", "json_object", "json_schema"]}, "json_schema": _JSON_SCHEMA},
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
        maybe("string"),
    ),
    "adapter": Field(
        "chooses",
        "The adapter in the same forms, where `model` is the base's name or absent.",
        maybe("string"),
    ),
    "messages": _engine(
        "The conversation; content is a string or a list of text items.",
        {"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": MESSAGE},
    ),
    "tools": _engine(
        "Functions that may be called. `parameters` may be left out. Calls keep to the schemas.",
        maybe("array", maxItems=MAX_TOOLS, items=_TOOL),
    ),
    "tool_choice": _engine("none, auto, required or Mistral's any, or one function.", _TOOL_CHOICE),
    "parallel_tool_calls": _engine("false: one call at most.", maybe("boolean")),
    "response_format": _engine("text, json_object, or json_schema with a schema.", _RESPONSE_FORMAT),
    "stream": _engine("Answer as server-sent events.", maybe("boolean")),
    "stream_options": _engine(
        "include_usage: a last chunk with the usage; continuous_usage_stats: one in every chunk.",
        maybe(
            "object",
            properties={
                "include_usage": maybe("boolean"),
                "continuous_usage_stats": maybe("boolean"),
                **silent("include_obfuscation"),
            },
        ),
    ),
    "n": _engine("Answers to choose from.", maybe("integer", minimum=1, maximum=MAX_CHOICES)),
    "stop": _engine(
        "Strings before which the answer ends.",
        {
            "type": ["string", "array", "null"],
            "maxLength": MAX_STOP_CHARACTERS,
            "maxItems": MAX_STOPS,
            "items": {"type": "string", "maxLength": MAX_STOP_CHARACTERS},
        },
    ),
    "seed": _engine("For the same sample again.", maybe("integer", minimum=-(2**63), maximum=2**63 - 1)),
    "max_tokens": _engine(
        "The answer's tokens at most; more than the context has left is as much as it has left.",
        maybe("integer", minimum=1, maximum=MAX_INTEGER),
    ),
    "max_completion_tokens": _engine(
        "The same by its newer name, which wins.", maybe("integer", minimum=1, maximum=MAX_INTEGER)
    ),
    "temperature": _engine("0 is greedy.", maybe("number", minimum=0, maximum=2)),
    "top_p": _engine("0 is the likeliest token alone.", maybe("number", minimum=0, maximum=1)),
    "frequency_penalty": _engine("As OpenAI's.", maybe("number", minimum=-2, maximum=2)),
    "presence_penalty": _engine("As OpenAI's.", maybe("number", minimum=-2, maximum=2)),
    "logit_bias": _engine(
        "Token ids to what is added to their logits.",
        maybe(
            "object",
            maxProperties=MAX_BIASES,
            propertyNames={"pattern": "^[0-9]{1,7}$"},
            additionalProperties={"type": "number", "minimum": -100, "maximum": 100},
        ),
    ),
    "logprobs": _engine("Log-probabilities of the answer's tokens.", maybe("boolean")),
    "top_logprobs": _engine(
        "How many alternatives with them.", maybe("integer", minimum=0, maximum=MAX_TOP_LOGPROBS)
    ),
    "reasoning_effort": _engine(
        "For templates that know of it.", maybe("string", maxLength=16, pattern="^[a-z]+$")
    ),
    "user": _engine("Who asks; it changes no answer.", maybe("string", maxLength=MAX_NAME)),
    "top_k": _engine(
        "vLLM's: the likeliest tokens to sample from.", maybe("integer", minimum=-1, maximum=2**31 - 1)
    ),
    "min_p": _engine("vLLM's.", maybe("number", minimum=0, maximum=1)),
    "repetition_penalty": _engine("vLLM's.", maybe("number", minimum=MIN_REPETITION_PENALTY, maximum=10)),
    "prompt_logprobs": _engine(
        "vLLM's: alternatives for each token of the prompt, for perplexity and parity, to a push key.",
        maybe("integer", minimum=0, maximum=MAX_TOP_LOGPROBS),
    ),
    "add_generation_prompt": _engine("vLLM's, for perplexity and parity.", maybe("boolean")),
    "continue_final_message": _engine("vLLM's, for perplexity and parity.", maybe("boolean")),
    "return_token_ids": _engine("vLLM's, for perplexity and parity.", maybe("boolean")),
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
