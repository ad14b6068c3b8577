"""What OpenAI's schema allows and vLLM 0.32 refuses, in vLLM's terms: the same answer is meant."""

import json
import re
from typing import Any

from data.ids import fitting
from data.strict_json import is_whole

SMALLEST_TOP_P = 1e-9
"""vLLM refuses 0, which means the likeliest token alone; so does this. What is less may be 0 to a GPU."""

GREEDY = 1e-5
"""vLLM's own bound: temperatures below it are greedy."""

MAX_DEPTH = 64
"""Objects and lists in each other, in the arguments of a call of the conversation."""

_MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "prefix")
"""What a message tells a model, here as to the trainer. A tool message's `name` and an answer's thoughts tell
it nothing; mistral-common would check the one as a function's name, and refuse the other."""

_TEXTS = ("text", "refusal")
"""Content items with text in the member of their type's name; others are thoughts."""

MAX_NAME = 64
"""Characters of a function's name in Mistral's format."""


def in_vllms_terms(body: dict[str, Any], max_model_len: int, mistral: bool) -> dict[str, Any]:
    """Return a copy of a checked request that vLLM takes; `mistral` means Mistral's own format."""
    body = {name: value for name, value in body.items() if value is not None}
    messages = [_message(message) for message in body["messages"]]
    prefix = [message.pop("prefix", False) for message in messages][-1]
    if prefix and not _says(messages[-1]) and len(messages) > 1:
        del messages[-1]
    messages = _in_mistrals_format(messages) if mistral else messages
    if messages[-1]["role"] == "assistant" and (prefix or _goes_on(body, mistral)):
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    body["messages"] = messages
    if not body.get("tools"):
        body.pop("tools", None)
        if body.get("tool_choice") in ("auto", "none"):
            del body["tool_choice"]
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body:
            body[name] = min(int(body[name]), max_model_len)
    if "top_p" in body:
        body["top_p"] = max(body["top_p"], SMALLEST_TOP_P)
    if body.get("n", 1) > 1 and body.get("temperature", 1) < GREEDY:
        # Sampling from one token: vLLM has no greedy answers to choose from.
        body |= {"temperature": 1.0, "top_k": 1}
    return body


def _message(given: dict[str, Any]) -> dict[str, Any]:
    message = {name: given[name] for name in _MESSAGE if given.get(name) is not None}
    if isinstance(content := message.get("content"), list):
        message["content"] = [
            {"type": "text", "text": item[item["type"]]} for item in content if item["type"] in _TEXTS
        ]
    if message["role"] == "assistant":
        if not message.get("content") and given.get("refusal"):
            message["content"] = given["refusal"]
        if calls := message.pop("tool_calls", None):
            message["tool_calls"] = [_call(call) for call in calls]
        else:
            message.setdefault("content", "")
    return message


def _call(given: dict[str, Any]) -> dict[str, Any]:
    function = given["function"]
    arguments = function["arguments"]
    if _too_deep(arguments) or _holds_half(arguments):
        arguments = ""
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


def _holds_half(arguments: str) -> bool:
    """Whether arguments, once parsed, hold half of a surrogate pair, which no tokenizer takes."""
    if "\\ud" not in arguments.lower():
        return False
    try:
        return not is_whole(json.loads(arguments))
    except (ValueError, RecursionError):
        return False  # vLLM shows it as {}, or it is too deep


def _goes_on(body: dict[str, Any], mistral: bool) -> bool:
    """Whether an answer to an assistant's message continues it, unasked.

    In Mistral's format nothing begins behind an assistant's message but the user's next one.
    """
    return mistral and body.get("add_generation_prompt") is not False


def _in_mistrals_format(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same without what the format cannot write: answers of nothing, and functions' names that are none.

    Both are answers of the model itself, which a conversation must not end at.
    """
    if said := [message for message in messages if message["role"] != "assistant" or _says(message)]:
        messages = said
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["name"] = _fitting_name(call["function"]["name"])
    return _with_short_ids(messages)


def _says(message: dict[str, Any]) -> bool:
    """Whether there is anything in an assistant's message."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "".join(item["text"] for item in content)
    return bool(text or message.get("tool_calls"))


def _fitting_name(name: str) -> str:
    return re.sub("[^a-zA-Z0-9_-]", "_", name)[:MAX_NAME] or "_"


def _with_short_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with ids that Mistral's format can carry, as the trainer has them (`data/ids.py`).

    Empty ids tell two calls of one message apart by their order, as the results that answer them.
    """
    known: dict[str, str] = {}
    unnamed: list[str] = []
    for message in messages:
        found: dict[str, str] = {}
        if calls := message.get("tool_calls"):
            unnamed = []
            for number, call in enumerate(calls):
                given = call["id"] or (f"#{number}" if number else "")
                if given not in found:
                    found[given] = fitting(given, set(found.values()))
                if not call["id"]:
                    unnamed.append(found[given])
                call["id"] = found[given]
        known |= found
        if (given := message.get("tool_call_id")) is not None:
            if not given and unnamed:
                message["tool_call_id"] = unnamed.pop(0)
            else:
                message["tool_call_id"] = known.setdefault(given, fitting(given, set()))
    return messages
