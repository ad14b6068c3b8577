"""Mistral's chat formats through mistral-common's own encoder, which is also what vLLM renders with."""

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from data import digest
from data.chat import AssistantMessage, Conversation, Message, Tool
from data.errors import UserError
from data.ids import mistral_ids
from data.manifest import RendererId
from finetune.render import VERSION, Chat, Learn, Piece, Sample, conversation_of, request_of, targets

FIRST_WITHOUT_IDS = 13
"""From this version on no call's id is written, and the encoder wants real ones in answers too."""


class MistralRenderer:
    """V3, V7 and newer, as the tokenizer file says.

    `[AVAILABLE_TOOLS]` stands only before the last user message, so it moves with each turn: a
    conversation is learnt as one sample per assistant message, never in one pass. The learnt call's id
    is `"null"`, which the encoder leaves out: a random id cannot be learnt. Text that looks like a control
    token is text here: the encoder writes control tokens itself and never reads one out of a message.
    """

    def __init__(self, tokenizer_file: Path) -> None:
        self._ask = MistralTokenizer.from_file(str(tokenizer_file), mode=ValidationMode.test)
        self._learn = MistralTokenizer.from_file(str(tokenizer_file), mode=ValidationMode.finetuning)
        self._tokens = self._ask.instruct_tokenizer.tokenizer
        self._version = int(self._tokens.version.value.removeprefix("v"))
        self.identity = RendererId(name="mistral", version=VERSION, digest=digest.of_file(tokenizer_file))

    @classmethod
    def from_file(cls, path: Path) -> "MistralRenderer":
        return cls(path)

    def prompt(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Tool | Mapping[str, Any]] = ()
    ) -> list[int]:
        request, _ = mistral_ids(request_of(messages, tools))
        return self._encode(self._ask, request, len(request.messages))

    def samples(self, conversation: Chat, learn: Learn = "all") -> list[Sample]:
        fitting, _ = mistral_ids(conversation_of(conversation))
        return [self._sample(fitting, position) for position in targets(fitting, learn)]

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        reader = codecs.getincrementaldecoder("utf-8")("replace")
        return [self._piece(number, reader) for number in ids]

    def _piece(self, number: int, reader: codecs.IncrementalDecoder) -> Piece:
        if self._tokens.is_special(number):
            return Piece(self._tokens.decode([number], SpecialTokenPolicy.KEEP), special=True)
        if hasattr(self._tokens, "id_to_byte_piece"):
            raw = self._tokens.id_to_byte_piece(number, SpecialTokenPolicy.KEEP)
        else:
            piece = self._tokens.id_to_piece(number)
            is_byte = len(piece) == 6 and piece.startswith("<0x")
            raw = bytes([int(piece[3:5], 16)]) if is_byte else piece.replace("▁", " ").encode()
        return Piece(reader.decode(raw), special=False)

    def _sample(self, conversation: Conversation, position: int) -> Sample:
        messages, target = conversation.messages[:position], conversation.messages[position]
        assert isinstance(target, AssistantMessage)
        prompt = self._encode(self._ask, conversation.model_copy(update={"messages": messages}), position)
        if self._anonymous(target):
            calls = [call.model_copy(update={"id": "null"}) for call in target.tool_calls]
            target = target.model_copy(update={"tool_calls": calls})
        learnt = conversation.model_copy(update={"messages": [*messages, target]})
        whole = self._encode(self._learn, learnt, position)
        completion = whole[len(prompt) :]
        if whole[: len(prompt)] != prompt or self._tokens.eos_id in completion[:-1]:
            raise UserError(
                f"message {position + 1}: Mistral's format does not write this answer behind the prompt that"
                " asks for it, so it cannot be learned; drop the conversation."
            )
        return Sample.of(prompt, completion if self._anonymous(target) else self._without_ids(completion))

    def _anonymous(self, target: AssistantMessage) -> bool:
        """Whether the encoder itself can leave the ids out: V11 refuses two that are the same, "null" too."""
        return self._version < 11 or (self._version < FIRST_WITHOUT_IDS and len(target.tool_calls) < 2)

    def _without_ids(self, completion: list[int]) -> list[int]:
        """V11's parallel calls as they read without ids: nothing from `[CALL_ID]` up to `[ARGS]`."""
        if self._version >= FIRST_WITHOUT_IDS:
            return completion
        call_id, arguments = map(self._tokens.get_special_token, ("[CALL_ID]", "[ARGS]"))
        kept, inside = [], False
        for token in completion:
            inside = token != arguments if inside else token == call_id
            if not inside:
                kept.append(token)
        return kept

    @staticmethod
    def _encode(tokenizer: Any, conversation: Conversation, position: int) -> list[int]:
        """`position` is that of the answer, counted from 0; people read it counted from 1."""
        try:
            request = ChatCompletionRequest.from_openai(**conversation.plain())
            ids: list[int] = tokenizer.encode_chat_completion(request).tokens
        except (MistralCommonException, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split()).removesuffix(".")
            raise UserError(
                f"message {position + 1}: Mistral's format cannot carry this answer or what stands before it"
                f" ({reason}); mend or drop the conversation."
            ) from None
        return ids
