"""Chat formats that are a Jinja file: the base's own, which is also given to vLLM."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data import digest
from data.chat import Conversation, Message, Tool
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
from finetune.template import ChatTemplate, as_served

Given = tuple[list[dict[str, Any]], list[dict[str, Any]] | None]
"""Messages and tools, as `as_served` gives them."""

Span = tuple[str, str]
"""The text that asks for an answer, and the answer up to its stop token."""


class TemplateRenderer:
    """Text by the template, tokens by `tokenizer.json`; only the template writes control tokens.

    What spells one in a message is text, in prompts and in answers, as it is where the base is served: see
    `data/control_tokens.py`. Below, "text" is a hidden one of that module.
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
        [text] = self._encoder.controls.rendered(
            as_served(request_of(messages, tools)), lambda given: [self._template.render(*given, ask=True)]
        )
        return self._encoder.encode(text)

    def samples(self, conversation: Chat, learn: Learn = "all") -> list[Sample]:
        """One row for all targets where each of them stands in it just as it would alone, else one each."""
        conversation = conversation_of(conversation)
        positions = targets(conversation, learn)
        if not positions:
            return []
        spans, whole = self._spans(conversation, positions)
        row = self._in_one_pass(spans, whole)
        return [row] if row else [Sample.of(*map(self._encoder.encode, span)) for span in spans]

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        return self._encoder.pieces(ids)

    def _spans(self, conversation: Conversation, positions: list[int]) -> tuple[list[Span], str]:
        """The text of each target, and of everything up to the end of the last one's message."""
        messages, tools = as_served(conversation)

        def render(given: Given) -> list[str]:
            prefix = self._template.prefixes(*given)
            return [text for at in positions for text in (prefix(at, True), prefix(at + 1, False))]

        texts = self._encoder.controls.rendered((messages[: positions[-1] + 1], tools), render)
        spans, after = [], ""
        for position, before, after in zip(positions, texts[::2], texts[1::2], strict=True):
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

    def _in_one_pass(self, spans: list[Span], whole: str) -> Sample | None:
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
        for start, stop in learnt:
            mask[start:stop] = [1] * (stop - start)
        return Sample(ids, mask)
