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
    there and here. Where vLLM would refuse the id, or make one out of two calls of one message, nine
    characters derived from the whole id stand instead. An id never depends on what comes after it, so each
    prefix of a conversation is mapped as the whole is.
    """
    mapping: dict[str, str] = {}
    changed: set[str] = set()
    messages = []
    for message in conversation.messages:
        found = _mapped(message, mapping)
        mapping |= found
        changed |= {given for given, fitting in found.items() if given != fitting}
        messages.append(_renamed(message, mapping) if changed else message)
    if not changed:
        return conversation, 0
    return conversation.model_copy(update={"messages": messages}), len(changed)


def _mapped(message: Message, known: dict[str, str]) -> dict[str, str]:
    """Ids that fit for a message's calls, no two the same, or for its result, whose call comes before it."""
    found: dict[str, str] = {}
    if isinstance(message, AssistantMessage):
        for call in message.tool_calls:
            if call.id not in found:
                found[call.id] = fitting(call.id, set(found.values()))
    elif isinstance(message, ToolMessage) and message.tool_call_id not in known:
        found[message.tool_call_id] = fitting(message.tool_call_id, set())
    return found


def fitting(given: str, taken: set[str]) -> str:
    """An id that fits for a given one, and is none of those taken."""
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
