"""Probable secrets of a record, each with its place in it."""

import marshal
from collections.abc import Iterable, Sequence
from functools import lru_cache

from data import secrets
from data.chat import AssistantMessage, Message, Tool, text_of
from finetune.validate.chunk import Examined

Said = tuple[str, Message]
"""A message and the name of its place."""


def numbered(messages: Sequence[Message]) -> list[Said]:
    return [(f"message {number}", message) for number, message in enumerate(messages, 1)]


def note_secrets(said: Iterable[Said], tools: Sequence[Tool], where: str, result: Examined) -> None:
    """A finding for everything in messages and tools that looks like a secret."""
    for place, secret in [*_said(said), *_offered(tools)]:
        advice = "replace it, and revoke it if it is real."
        result.note("secret", f"{where}: {place}", f"this looks like {secret}; {advice}")


def _said(said: Iterable[Said]) -> list[tuple[str, secrets.Secret]]:
    texts: list[tuple[str, str]] = []
    for place, message in said:
        texts.append((place, text_of(message.content)))
        if isinstance(message, AssistantMessage):
            texts += [(place, call.function.arguments) for call in message.tool_calls]
    # One quick look at everything that was said; almost always it is the last.
    if not secrets.suspicious("\n".join(text for _, text in texts)):
        return []
    return [
        (place, secret) for place, text in texts if secrets.suspicious(text) for secret in secrets.find(text)
    ]


def _offered(tools: Sequence[Tool]) -> list[tuple[str, secrets.Secret]]:
    found = []
    for number, tool in enumerate(tools, 1):
        function = tool.function
        key = marshal.dumps((function.name, function.description, function.parameters), 2)
        found += [(f"tool {number}", secret) for secret in _in_definition(key)]
    return found


@lru_cache(maxsize=8192)
def _in_definition(key: bytes) -> tuple[secrets.Secret, ...]:
    """The same tools stand in many conversations; `key` is the quickest that tells them apart."""
    text = repr(marshal.loads(key))
    return tuple(secrets.find(text)) if secrets.suspicious(text) else ()
