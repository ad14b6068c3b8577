"""Control tokens of a chat format: a template writes them, and what spells one in a message stays text.

A rendered chat is one text, in which a template's `<|im_end|>` and a message's look the same: whoever may
write a message could end it, and write others' turns. So where the words of a conversation have signs of
control tokens, it is rendered once more with these signs in disguise. Where both renderings say the same, but
for the disguise, the signs that still stand are the template's own.
"""

import copy
import re
import secrets
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeVar

from data.errors import UserError
from data.strict_json import is_text

Given = TypeVar("Given")

_HALF = 0xD800
"""Where halves of surrogate pairs begin: signs are disguised as such, since no text has one."""


class ControlTokens:
    """The special tokens of a tokenizer of the `tokenizers` library, and texts in which only some are meant.

    A text is "hidden" where signs in it are disguised. It is as long as the text that it stands for, which
    `shown` gives; its control tokens are those that are spelled in it without a disguise. Trainer and server
    `encode` it to the same ids; one that hides no control token has the ids that the tokenizer itself gives.

    What a template puts together itself is its own: one that writes `<{{ name }}>` around a bare word makes
    a control token of a word that is named like one.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.get_added_tokens_decoder()
        self._tokenizer = tokenizer
        self._special = {token.content: number for number, token in added.items() if token.special}
        self._added = _any_of([token.content for token in added.values()])
        self._signs = {sign for name in self._special for sign in re.findall(r"[^\w\s]", name) or name[0]}
        disguised = sorted(self._signs | {name[0] for name in self._special})
        self._halves = {sign: chr(_HALF + number) for number, sign in enumerate(disguised)}
        self._start = re.compile(f"(?={_any_of(self._special).pattern}).", re.DOTALL)

    def rendered(self, given: Given, render: Callable[[Given], list[str]]) -> list[str]:
        """`render(given)`, as hidden texts where words of `given` spell control tokens in them.

        `given` is what a template is given, as JSON has it. UserError where it holds half of a surrogate
        pair, or where the template looks for what is disguised, or changes it, so that the renderings differ.
        """
        plain = render(given)
        if not all(map(is_text, plain)):
            raise UserError(
                "the text holds half of a surrogate pair, which is no character; write it differently."
            )
        if not self._may_spell(given):
            return plain
        # Some templates look for signs in a message (`'</think>' in content`). Then only those are disguised
        # that start a control token, which is enough unless it is put together of several strings.
        for disguise in (self._without_signs, self._without_starts):
            disguised = _changed(given, disguise)
            if disguised == given:
                return plain
            try:
                hidden = render(disguised)
            except Exception:
                continue  # a template that looks for signs may refuse what lacks them
            if [self.shown(text) for text in hidden] == plain:
                return hidden if any(map(self._hides, hidden)) else plain
        raise UserError(
            "the text holds control tokens of this base, and its chat template does more with texts than"
            " write them, so they cannot be told from the template's own; write them differently."
        )

    def shown(self, text: str) -> str:
        """The text that a hidden one stands for."""
        if not is_text(text):
            for sign, half in self._halves.items():
                text = text.replace(half, sign)
        return text

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, hidden or not."""
        hidden = {place for place, text in enumerate(texts) if self._hides(text)}
        others = [self.shown(text) for place, text in enumerate(texts) if place not in hidden]
        # The fast call leaves out offsets, a fifth of the time.
        encoded = iter(self._tokenizer.encode_batch_fast(others, add_special_tokens=False))
        return [
            self._encode_hidden(text) if place in hidden else next(encoded).ids
            for place, text in enumerate(texts)
        ]

    def _may_spell(self, given: Any) -> bool:
        """Whether there is a sign in it at all, found without a walk through it: most have none."""
        written = repr(given)
        return any(sign in written or not sign.isprintable() for sign in self._signs)

    def _without_signs(self, text: str) -> str:
        for sign in self._signs:
            text = text.replace(sign, self._halves[sign])
        return text

    def _without_starts(self, text: str) -> str:
        return self._start.sub(lambda found: self._halves[found.group()], text)

    def _hides(self, text: str) -> bool:
        return not is_text(text) and self._written(text) != self._written(self.shown(text))

    def _written(self, text: str) -> list[tuple[int, str]]:
        """Control tokens as the tokenizer finds them, with their places."""
        found = ((one.start(), one.group()) for one in self._added.finditer(text))
        return [(start, name) for start, name in found if name in self._special]

    def _encode_hidden(self, text: str) -> list[int]:
        named = self._added.sub(lambda found: self._names.get(found.group(), found.group()), text)
        words, back = self._words
        [encoded] = words.encode_batch_fast([self.shown(named)], add_special_tokens=False)
        ids = [back.get(number, number) for number in encoded.ids]
        # Of some tokenizers a control token is a word too (Unigram, WordLevel), or means any unknown one.
        unknown = words.token_to_id(getattr(words.model, "unk_token", None) or "")
        control = set(self._special.values()) - {unknown}
        meant = [self._special[name] for _, name in self._written(text)]
        if [number for number in ids if number in control] != [one for one in meant if one in control]:
            raise UserError(
                "the text holds control tokens that this base's tokenizer can only read as such; write them"
                " differently."
            )
        return ids

    @cached_property
    def _names(self) -> dict[str, str]:
        """What control tokens are called where they are meant: by names that nobody knows."""
        secret = secrets.token_hex(16)
        return {name: f"<{secret}:{number}>" for name, number in self._special.items()}

    @cached_property
    def _words(self) -> tuple[Any, dict[int, int]]:
        """The tokenizer with control tokens under their other names alone, and the ids of those."""
        words = copy.deepcopy(self._tokenizer)
        words.no_truncation()
        words.no_padding()
        words.encode_special_tokens = True  # that is, as words
        added = self._tokenizer.get_added_tokens_decoder()
        for name, other in self._names.items():
            token = added[self._special[name]]
            looks = {one: getattr(token, one) for one in ("single_word", "lstrip", "rstrip", "normalized")}
            words.add_tokens([type(token)(other, **looks)])
        return words, {words.token_to_id(other): self._special[name] for name, other in self._names.items()}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """JSON with another text in the place of each."""
    if isinstance(value, str):
        return change(value)
    # Loops, since comprehensions would let values be nested half as deeply, less than JSON's parser does.
    if isinstance(value, dict):
        members = {}
        for name, member in value.items():
            members[_changed(name, change)] = _changed(member, change)
        return members
    if isinstance(value, list | tuple):
        items = []
        for item in value:
            items.append(_changed(item, change))
        return type(value)(items)
    return value


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Any of these, the longest first; nothing where there are none."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")
