"""Chat formats that are a Jinja file: the base's own, which is also given to vLLM."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data import digest
from data.chat import AssistantMessage, Conversation, Message, Tool
from data.errors import UserError
from data.manifest import RendererId
from finetune.cuts import Encoder
from finetune.render import (
    TEMPLATE,
    VERSION,
    Chat,
    Learn,
    Piece,
    Sample,
    conversation_of,
    request_of,
    targets,
)
from finetune.template import ChatTemplate, as_served, one_string

Span = tuple[str, str]
"""The text that asks for an answer, and the answer up to its stop token."""


class TemplateRenderer:
    """Text by the template, tokens by `tokenizer.json`; special tokens written in a message are parsed.

    vLLM parses them too, so what stands in a prompt is the same on both sides. An answer to be learnt must
    not hold one: the model would learn to end its turn, or to open another's, in the middle of its words.
    """

    def __init__(
        self, template: str, tokenizer: Any, stop: str, tokens: Mapping[str, str] | None = None
    ) -> None:
        self._template = ChatTemplate(template, tokens)
        self._encoder = Encoder(tokenizer, stop)
        self._stop = stop
        self.identity = RendererId(
            name="template", version=VERSION, digest=digest.of_bytes(template.encode())
        )

    @classmethod
    def from_folder(cls, folder: Path) -> "TemplateRenderer":
        from tokenizers import Tokenizer

        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        named = {
            name: value if isinstance(value, str) else value["content"]
            for name, value in settings.items()
            if name
            in ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
            and value is not None
        }
        template = (folder / TEMPLATE).read_bytes().decode()
        return cls(template, Tokenizer.from_file(str(folder / "tokenizer.json")), named["eos_token"], named)

    def prompt(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Tool | Mapping[str, Any]] = ()
    ) -> list[int]:
        given, definitions = as_served(request_of(messages, tools))
        return self._encoder.encode(self._template.render(given, definitions, ask=True))

    def samples(self, conversation: Chat, learn: Learn = "all") -> list[Sample]:
        """One row for all targets where each of them stands in it just as it would alone, else one each."""
        conversation = conversation_of(conversation)
        positions = targets(conversation, learn)
        if not positions:
            return []
        spans, whole = self._spans(conversation, positions)
        row = self._in_one_pass(conversation, positions, spans, whole)
        return [row] if row else self._each_alone(conversation, positions, spans)

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        return self._encoder.pieces(ids)

    def _spans(self, conversation: Conversation, positions: list[int]) -> tuple[list[Span], str]:
        """The text of each target, and of everything up to the end of the last one's message."""
        messages, tools = as_served(conversation)
        prefix = self._template.prefixes(messages[: positions[-1] + 1], tools)
        spans, after = [], ""
        for position in positions:
            before, after = prefix(position, True), prefix(position + 1, False)
            if not after.startswith(before):
                raise UserError(
                    f"the base's chat template rewrites what stands before message {position + 1}, so no"
                    " answer can be learned as it will be asked; use a template that only appends."
                )
            answer = after[len(before) :]
            end = answer.rfind(self._stop)
            if end < 0:
                raise UserError(f"the base's chat template does not end an answer with {self._stop!r}.")
            spans.append((before, answer[: end + len(self._stop)]))
        return spans, after

    def _in_one_pass(
        self, conversation: Conversation, positions: list[int], spans: list[Span], whole: str
    ) -> Sample | None:
        """One row, or None where the template or the tokenizer makes a target look different in it.

        As text, each target's prompt and answer must be the start of `whole`; as tokens, see
        `Encoder.joined`.
        """
        end = 0
        for before, answer in spans:
            start, end = len(before), len(before) + len(answer)
            if not whole.startswith(before) or not whole.startswith(answer, start):
                return None
        encoded = self._encoder.joined(whole[:end], [(len(b), len(b) + len(a)) for b, a in spans])
        if encoded is None:
            return None
        ids, learnt = encoded
        mask = [0] * len(ids)
        for position, (start, stop) in zip(positions, learnt, strict=True):
            self._check(conversation, position, ids[start:stop])
            mask[start:stop] = [1] * (stop - start)
        return Sample(ids, mask)

    def _each_alone(
        self, conversation: Conversation, positions: list[int], spans: list[Span]
    ) -> list[Sample]:
        rows = []
        for position, (before, answer) in zip(positions, spans, strict=True):
            completion = self._encoder.encode(answer)
            self._check(conversation, position, completion)
            rows.append(Sample.of(self._encoder.encode(before), completion))
        return rows

    def _check(self, conversation: Conversation, position: int, completion: list[int]) -> None:
        """UserError where a special token in the answer comes from its words, not from the template."""
        inside = self._encoder.specials_in(completion[:-1])
        if not inside:
            return
        target = conversation.messages[position]
        assert isinstance(target, AssistantMessage)
        words = _words(target)
        for token in inside:
            if token == self._stop or any(token in word for word in words):
                raise UserError(
                    f"message {position + 1} holds {token!r}, a control token of this base, so learning"
                    " it would break the answer; write it differently, drop the conversation or set the"
                    " message's weight to 0."
                )


def _words(message: AssistantMessage) -> list[str]:
    """Everything that an answer says, as the template writes it."""
    words = [one_string(message.content)]
    for call in message.tool_calls:
        words += [call.function.name, json.dumps(call.function.parsed(), ensure_ascii=False)]
    return words
