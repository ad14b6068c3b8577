"""Conversations to tokens: what is learnt is, token for token, what the server will feed the model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data import digest
from data.chat import AssistantMessage, Conversation, Message, Tool
from data.errors import UserError
from data.manifest import RendererId


@dataclass(frozen=True)
class Sample:
    """One training row. `completion_mask[i]` is 1 where `input_ids[i]` is learnt; both have length T."""

    input_ids: list[int]
    completion_mask: list[int]

    @classmethod
    def of(cls, prompt: list[int], completion: list[int]) -> "Sample":
        return cls(prompt + completion, [0] * len(prompt) + [1] * len(completion))


class Renderer(Protocol):
    """Both sides of one chat format: what the trainer learns from, and what the server sends."""

    @property
    def identity(self) -> RendererId: ...

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        """Token ids of the request `messages`, ending where the assistant's answer starts."""
        ...

    def samples(self, conversation: Conversation) -> list[Sample]:
        """Rows that teach each assistant message of weight 1; its stop token is learnt too."""
        ...


def open_renderer(folder: Path) -> Renderer:
    """The renderer of a base folder: Mistral's where there is a `tekken.json`, else its template."""
    if (folder / "tekken.json").is_file():
        from finetune.render_mistral import MistralRenderer

        return MistralRenderer.from_file(folder / "tekken.json")
    if (folder / "chat_template.jinja").is_file():
        return TemplateRenderer.from_folder(folder)
    raise UserError(
        f"{folder} has neither tekken.json nor chat_template.jinja, so nothing says how it renders chat;"
        " add one of them to the base's folder."
    )


class TemplateRenderer:
    """Renders with the base's Jinja file, the same one that is given to vLLM."""

    VERSION = 1

    def __init__(self, template: str, tokenizer: Any, stop: str) -> None:
        self._template = _environment().from_string(template)
        self._tokenizer = tokenizer
        self._stop = stop
        self.identity = RendererId(
            name="template", version=self.VERSION, digest=digest.of_bytes(template.encode())
        )

    @classmethod
    def from_folder(cls, folder: Path) -> "TemplateRenderer":
        from tokenizers import Tokenizer

        settings = json.loads((folder / "tokenizer_config.json").read_text())
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        stop = settings["eos_token"]
        return cls(
            template,
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            stop if isinstance(stop, str) else stop["content"],
        )

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        return self._encode(self._text(messages, tools, ask=True))

    def samples(self, conversation: Conversation) -> list[Sample]:
        targets = [
            self._target(conversation, position)
            for position, message in enumerate(conversation.messages)
            if isinstance(message, AssistantMessage) and message.weight
        ]
        whole = self._encode(self._text(conversation.messages, conversation.tools, ask=False))
        return _in_one_pass(whole, targets) or [Sample.of(*target) for target in targets]

    def _target(self, conversation: Conversation, position: int) -> tuple[list[int], list[int]]:
        """Prompt and completion of one assistant message; the completion ends in the stop token."""
        before = self._text(conversation.messages[:position], conversation.tools, ask=True)
        after = self._text(conversation.messages[: position + 1], conversation.tools, ask=False)
        if not after.startswith(before):
            raise UserError(
                f"the base's chat template rewrites what stands before message {position}, so no answer can"
                " be learnt as it will be asked; use a template that only appends."
            )
        answer = after[len(before) :]
        end = answer.rfind(self._stop)
        if end < 0:
            raise UserError(f"the base's chat template does not end an answer with {self._stop!r}.")
        return self._encode(before), self._encode(answer[: end + len(self._stop)])

    def _text(self, messages: Sequence[Message], tools: Sequence[Tool], ask: bool) -> str:
        plain = Conversation.model_construct(messages=list(messages), tools=list(tools)).plain()
        for message in plain["messages"]:
            for call in message.get("tool_calls", []):
                # vLLM hands templates parsed arguments; so do we, and their spacing is the template's.
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        text: str = self._template.render(
            messages=plain["messages"], tools=plain.get("tools"), add_generation_prompt=ask
        )
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _in_one_pass(whole: list[int], targets: list[tuple[list[int], list[int]]]) -> list[Sample] | None:
    """One row for all targets, where each of them stands in `whole` just as it would alone; else None."""
    mask = [0] * len(whole)
    end = 0
    for prompt, completion in targets:
        start, end = len(prompt), len(prompt) + len(completion)
        if whole[:start] != prompt or whole[start:end] != completion:
            return None
        mask[start:end] = [1] * len(completion)
    return [Sample(whole[:end], mask[:end])] if targets else []


def _environment() -> Any:
    """Jinja as transformers and vLLM set it up, so that one file gives one text everywhere."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    return environment
