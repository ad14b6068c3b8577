"""Conversations to tokens: what is learnt is, token for token, what the server will feed the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from data import digest
from data.chat import AssistantMessage, Conversation, Message, Tool
from data.errors import UserError
from data.manifest import RendererId
from data.mistakes import first_error

Learn = Literal["all", "last", "tool_calls"]
"""Which assistant messages are targets: all, the last one only, or only those that call tools."""

TEMPLATE = "chat_template.jinja"

VERSION = 2
"""Raised whenever a renderer writes other tokens than before; adapters learnt from those do not fit.

It was not when control tokens in messages became text: of all other messages the tokens are the same.
"""

Chat = Conversation | Mapping[str, Any]
"""A conversation, or the same as OpenAI writes it."""


@dataclass(frozen=True)
class Sample:
    """One training row. `completion_mask[i]` is 1 where `input_ids[i]` is learnt; both have length T."""

    input_ids: list[int]
    completion_mask: list[int]

    @classmethod
    def of(cls, prompt: list[int], completion: list[int]) -> "Sample":
        return cls(prompt + completion, [0] * len(prompt) + [1] * len(completion))


@dataclass(frozen=True)
class Piece:
    """What one token adds to the text: "" while the bytes of a character are not complete."""

    text: str
    special: bool


class Renderer(Protocol):
    """Both sides of one chat format: what the trainer learns from, and what the server sends."""

    @property
    def identity(self) -> RendererId: ...

    def prompt(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Tool | Mapping[str, Any]] = ()
    ) -> list[int]:
        """Token ids of the request `messages`, ending where the assistant's answer starts."""
        ...

    def samples(self, conversation: Chat, learn: Learn = "all") -> list[Sample]:
        """Rows that teach each target; its stop token is learnt too, and nothing of any other message.

        UserError names the message that this format cannot carry, or cannot teach.
        """
        ...

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        """The text of each token, for people to look at."""
        ...


def open_renderer(folder: Path) -> Renderer:
    """The renderer of a base folder: Mistral's where its tokenizer lies there, else the chat template's."""
    name, file = _chosen(folder)
    if name == "mistral":
        from finetune.render_mistral import MistralRenderer

        return MistralRenderer.from_file(file)
    from finetune.render_template import TemplateRenderer

    return TemplateRenderer.from_folder(folder)


def renderer_id(folder: Path) -> RendererId:
    """The identity of `open_renderer(folder)`, without opening it."""
    name, file = _chosen(folder)
    return RendererId(name=name, version=VERSION, digest=digest.of_file(file))


def _chosen(folder: Path) -> tuple[Literal["mistral", "template"], Path]:
    """The renderer's name, and the file that says how it writes."""
    if (mistral := mistral_file(folder)) is not None:
        return "mistral", mistral
    if (template := folder / TEMPLATE).is_file():
        return "template", template
    raise UserError(
        f"{folder} has neither tekken.json nor {TEMPLATE}, so nothing says how it renders chat;"
        " add one of them to the base's folder."
    )


def mistral_file(folder: Path) -> Path | None:
    """The tokenizer of Mistral's own kind, `tekken.json` or `tokenizer.model.v3` and later; None without.

    Where there are several, the last in the order of their names: so chooses mistral-common, and with it
    vLLM. A bare `tokenizer.model` says nothing about a chat format, so it is none.
    """
    if (folder / "tekken.json").is_file():
        return folder / "tekken.json"
    return max(folder.glob("*.model.v*"), default=None)


def conversation_of(chat: Chat) -> Conversation:
    """`chat` as a `Conversation`; of an OpenAI dictionary what says nothing to a renderer is left out."""
    if isinstance(chat, Conversation):
        return chat
    kept = {key: chat[key] for key in ("messages", "tools", "id", "category") if chat.get(key) is not None}
    kept["messages"] = [_without_nulls(message) for message in kept.get("messages", [])]
    kept["tools"] = [_without_nulls(tool) for tool in kept.get("tools", [])]
    try:
        return Conversation.model_validate(kept)
    except ValidationError as error:
        raise UserError(f"not a conversation in OpenAI's format ({first_error(error)}); mend it.") from None


def request_of(
    messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Tool | Mapping[str, Any]]
) -> Conversation:
    """The conversation that a server has before it asks for an answer."""
    if messages and isinstance(messages[0], Mapping):
        return conversation_of({"messages": messages, "tools": list(tools)})
    return Conversation.model_construct(messages=[*messages], tools=[*tools])  # type: ignore[list-item]


def targets(conversation: Conversation, learn: Learn) -> list[int]:
    """Positions of the messages to learn: those of weight 1 that `learn` selects."""
    answers = [
        (position, message)
        for position, message in enumerate(conversation.messages)
        if isinstance(message, AssistantMessage)
    ]
    if learn == "last":
        answers = answers[-1:]
    elif learn == "tool_calls":
        answers = [(position, message) for position, message in answers if message.tool_calls]
    return [position for position, message in answers if message.weight]


def _without_nulls(value: Any) -> Any:
    return (
        {key: item for key, item in value.items() if item is not None}
        if isinstance(value, Mapping)
        else value  # pydantic says what is wrong with it
    )
