"""Mistral's chat formats through mistral-common's own encoder, which is also what vLLM renders with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from data import digest
from data.chat import AssistantMessage, Conversation, Message, Tool
from data.manifest import RendererId
from finetune.render import Sample


class MistralRenderer:
    """V3, V7 and newer, as the tokenizer file says.

    `[AVAILABLE_TOOLS]` stands only before the last user message, so it moves with each turn: a
    conversation is learnt as one sample per assistant message, never in one pass. The learnt call's id
    is `"null"`, which the encoder leaves out: a random id cannot be learnt.
    """

    VERSION = 1

    def __init__(self, tokenizer_file: Path) -> None:
        self._ask = MistralTokenizer.from_file(str(tokenizer_file), mode=ValidationMode.test)
        self._learn = MistralTokenizer.from_file(str(tokenizer_file), mode=ValidationMode.finetuning)
        self.identity = RendererId(
            name="mistral", version=self.VERSION, digest=digest.of_file(tokenizer_file)
        )

    @classmethod
    def from_file(cls, path: Path) -> "MistralRenderer":
        return cls(path)

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        return self._encode(self._ask, list(messages), list(tools))

    def samples(self, conversation: Conversation) -> list[Sample]:
        return [
            self._sample(conversation, position)
            for position, message in enumerate(conversation.messages)
            if isinstance(message, AssistantMessage) and message.weight
        ]

    def _sample(self, conversation: Conversation, position: int) -> Sample:
        history = conversation.messages[:position]
        target = conversation.messages[position]
        assert isinstance(target, AssistantMessage)
        anonymous = [call.model_copy(update={"id": "null"}) for call in target.tool_calls]
        learnt = [*history, target.model_copy(update={"tool_calls": anonymous})]
        prompt = self.prompt(history, conversation.tools)
        whole = self._encode(self._learn, learnt, conversation.tools)
        if whole[: len(prompt)] != prompt:
            raise ValueError(f"message {position}: what is learnt does not continue what is asked")
        return Sample.of(prompt, whole[len(prompt) :])

    @staticmethod
    def _encode(tokenizer: Any, messages: list[Message], tools: list[Tool]) -> list[int]:
        plain = Conversation.model_construct(messages=messages, tools=tools).plain()
        for tool in plain.get("tools", []):
            tool["function"].setdefault("description", "")
            tool["function"].setdefault("parameters", {})
        request = ChatCompletionRequest.from_openai(**plain)
        ids: list[int] = tokenizer.encode_chat_completion(request).tokens
        return ids
