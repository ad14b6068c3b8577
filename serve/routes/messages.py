"""What a message of a chat request may hold: members that are used, and members that say nothing.

Clients play back whole answers, this server's or another's, with all that came with them. What of that tells
the model nothing is listed here and has no effect; everything else is refused, since a history that loses a
part in silence is answered as another one.
"""

from typing import Any

MAX_CALLS = 128
"""Calls in one message, and tools of a request."""

MAX_NAME = 512

SILENT: dict[str, Any] = {"description": "Has no effect."}
"""The schema of a member that says nothing to the model, whatever its value."""


def silent(*names: str) -> dict[str, Any]:
    """Return the entries of `properties` for members that have no effect."""
    return dict.fromkeys(names, SILENT)


def maybe(kind: str, **rules: Any) -> dict[str, Any]:
    """Return the schema of a member of this JSON type; null is as good as absent, for the document."""
    return {"type": [kind, "null"], **rules}


ROLES = ("system", "developer", "user", "assistant", "tool")

ROLE_ALONE = {
    "tool_calls": "assistant",
    "prefix": "assistant",
    "refusal": "assistant",
}
"""Members that say something in messages of one role, and would be lost in those of another."""

THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""Content items that are an earlier answer's thoughts, which no answer is given from again."""

_ITEM = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["text", "refusal", *THOUGHTS]},
        "text": {"type": "string"},
        "refusal": {"type": "string"},
        **silent("thinking", "reasoning", "signature", "closed", "data", "summary"),
        **silent("annotations", "cache_control", "citations", "id", "index", "logprobs"),
    },
    "allOf": [
        {"if": {"properties": {"type": {"enum": [kind]}}}, "then": {"required": ["type", kind]}}
        for kind in ("text", "refusal")
    ],
}
_CALL = {
    "type": "object",
    "required": ["id", "function"],
    "properties": {
        "id": {"type": "string", "maxLength": MAX_NAME},
        "type": {"enum": ["function"]},
        "function": {
            "type": "object",
            "required": ["name", "arguments"],
            "properties": {
                "name": {"type": "string", "maxLength": MAX_NAME},
                "arguments": {"type": "string"},
                **silent("description", "parsed_arguments", "provider_specific_fields"),
            },
        },
        **silent("index", "cache_control", "extra_content", "provider_specific_fields", "signature"),
        **silent("thought_signature"),
    },
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": list(ROLES)},
        "content": {"type": ["string", "array", "null"], "items": _ITEM},
        "tool_calls": maybe("array", items=_CALL, maxItems=MAX_CALLS),
        "tool_call_id": maybe("string", maxLength=MAX_NAME),
        "prefix": maybe("boolean"),
        "refusal": maybe("string"),
        **silent("name", "reasoning_content", "reasoning", "reasoning_details", "reasoning_signature"),
        **silent("thinking", "thinking_blocks"),
        **silent("id", "index", "opts", "annotations", "citations", "parsed", "weight"),
        **silent("logprobs", "finish_reason", "stop_reason", "status", "token_ids"),
        **silent("model", "usage", "adapter", "timestamp", "created", "created_at", "createdAt"),
        **silent("metadata", "meta", "provider_specific_fields", "cache_control", "tool_name"),
    },
    "if": {"properties": {"role": {"enum": ["assistant"]}}},
    "else": {
        "required": ["content"],
        "properties": {"content": {"type": ["string", "array"]}},
        "if": {"properties": {"role": {"enum": ["tool"]}}},
        "then": {"required": ["tool_call_id"], "properties": {"tool_call_id": {"type": "string"}}},
    },
}
"""`refusal` is read as the text of an answer that has no other."""
