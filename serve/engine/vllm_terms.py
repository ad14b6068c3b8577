"""What OpenAI's schema allows and vLLM 0.32 refuses, in vLLM's terms: the same answer is meant."""

import json
from typing import Any

from data.ids import fitting

SMALLEST_TOP_P = 1e-9
"""vLLM refuses 0, which means the likeliest token alone; so does this."""

GREEDY = 1e-5
"""vLLM's own bound: temperatures below it are greedy."""

MAX_DEPTH = 64
"""Objects and lists in each other, in the arguments of a call of the conversation."""

_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")


def in_vllms_terms(body: dict[str, Any], max_model_len: int, mistral: bool) -> dict[str, Any]:
    """A copy of a checked request that vLLM takes; `mistral` ids are nine letters or digits."""
    body = {name: value for name, value in body.items() if value is not None}
    messages = [_message(message) for message in body["messages"]]
    body["messages"] = _with_short_ids(messages) if mistral else messages
    if not body.get("tools", True):
        del body["tools"]
        if body.get("tool_choice") in ("auto", "none"):
            del body["tool_choice"]
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body:
            body[name] = min(int(body[name]), max_model_len)
    if body.get("top_p") == 0:
        body["top_p"] = SMALLEST_TOP_P
    if body.get("n", 1) > 1 and body.get("temperature", 1) < GREEDY:
        # Sampling from one token: vLLM has no greedy answers to choose from.
        body |= {"temperature": 1.0, "top_k": 1}
    return body


def _message(given: dict[str, Any]) -> dict[str, Any]:
    message = {name: given[name] for name in _MESSAGE if given.get(name) is not None}
    if calls := message.pop("tool_calls", None):
        message["tool_calls"] = [_call(call) for call in calls]
    elif message["role"] == "assistant":
        message.setdefault("content", "")
    return message


def _call(given: dict[str, Any]) -> dict[str, Any]:
    function = given["function"]
    arguments = "" if _too_deep(function["arguments"]) else function["arguments"]
    named = {"name": function["name"], "arguments": arguments}
    return {"id": given["id"], "type": "function", "function": named}


def _too_deep(arguments: str) -> bool:
    """Whether arguments would overflow what parses and renders them. vLLM shows broken ones as {}."""
    if arguments.count("[") + arguments.count("{") <= MAX_DEPTH:
        return False
    try:
        level = [json.loads(arguments)]
    except RecursionError:
        return True
    except ValueError:
        return False
    for _ in range(MAX_DEPTH):
        members = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for several in members for one in several if isinstance(one, dict | list)]
    return bool(level)


def _with_short_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with ids that Mistral's format can carry, as the trainer has them (`data/ids.py`)."""
    known: dict[str, str] = {}
    for message in messages:
        found: dict[str, str] = {}
        for call in message.get("tool_calls", ()):
            if call["id"] not in found:
                found[call["id"]] = fitting(call["id"], set(found.values()))
            call["id"] = found[call["id"]]
        known |= found
        if (given := message.get("tool_call_id")) is not None:
            message["tool_call_id"] = known.setdefault(given, fitting(given, set()))
    return messages
