"""Call ids that Mistral's formats can carry: nine letters or digits."""

import hashlib
import re

from data.chat import AssistantMessage, Conversation, Message, ToolMessage

_VALID = re.compile(r"[a-zA-Z0-9]{9}")


def fits(call_id: str) -> bool:
    """Whether Mistral's formats can carry the id as it is."""
    return _VALID.fullmatch(call_id) is not None


def mistral_ids(conversation: Conversation) -> tuple[Conversation, int]:
    """The conversation with ids that fit, and how many different ids had to change.

    What fits stays. Of a longer id its last nine characters stand, where they fit: that is what vLLM keeps
    of it at serving time (`truncate_tool_call_ids`), so a prompt from logs like `call_Ab3...` is the same
    there and here. Where vLLM would refuse the id, or make one out of two, nine characters derived from
    the whole id stand instead. An id never depends on what comes after it, so each prefix of a
    conversation is mapped as the whole is; within a conversation no two ids become one.
    """
    mapping: dict[str, str] = {}
    taken: set[str] = set()
    for given in _ids(conversation):
        if given not in mapping:
            mapping[given] = _fitting(given, taken)
            taken.add(mapping[given])
    changed = sum(1 for given, fitting in mapping.items() if given != fitting)
    if not changed:
        return conversation, 0
    messages = [_renamed(message, mapping) for message in conversation.messages]
    return conversation.model_copy(update={"messages": messages}), changed


def _ids(conversation: Conversation) -> list[str]:
    """Every id in the order of appearance, calls and results."""
    found: list[str] = []
    for message in conversation.messages:
        if isinstance(message, AssistantMessage):
            found += [call.id for call in message.tool_calls]
        elif isinstance(message, ToolMessage):
            found.append(message.tool_call_id)
    return found


def _fitting(given: str, taken: set[str]) -> str:
    candidate, tries = given[-9:], 0
    while not fits(candidate) or candidate in taken:
        candidate = hashlib.sha256(f"{tries} {given}".encode()).hexdigest()[:9]
        tries += 1
    return candidate


def _renamed(message: Message, mapping: dict[str, str]) -> Message:
    if isinstance(message, AssistantMessage) and message.tool_calls:
        calls = [call.model_copy(update={"id": mapping[call.id]}) for call in message.tool_calls]
        return message.model_copy(update={"tool_calls": calls})
    if isinstance(message, ToolMessage):
        return message.model_copy(update={"tool_call_id": mapping[message.tool_call_id]})
    return message
