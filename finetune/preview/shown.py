"""A sample as it is looked at: tokens with their text, id and whether they are learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from data.chat import Conversation
from data.errors import UserError
from data.preference import Preference
from finetune.pair import token_pair
from finetune.render import Learn, Renderer

Part = Literal["prompt", "chosen", "rejected"]

BLANKS = {" ": "·", "\t": "→", "\n": "⏎\n", "\r": "␍", "\u00a0": "⍽", "\ufeff": "∅"}
"""What blanks look like; a line still ends where it ends."""


@dataclass(frozen=True)
class Token:
    """`text` is "" for a token that holds only the first bytes of a character."""

    index: int
    id: int
    text: str
    special: bool
    learnt: bool

    @property
    def visible(self) -> str:
        """The text with every blank to be seen, and something to see where there is no text."""
        return "".join(BLANKS.get(character, character) for character in self.text) or "◌"


@dataclass(frozen=True)
class Row:
    """A sample, or a part of a preference; then `part` says which."""

    tokens: list[Token]
    part: Part | None = None

    @property
    def learnt(self) -> int:
        return sum(token.learnt for token in self.tokens)

    @property
    def targets(self) -> int:
        """Runs of learnt tokens."""
        flags = [token.learnt for token in self.tokens]
        return sum(now and not before for before, now in zip([False, *flags], flags, strict=False))


@dataclass(frozen=True)
class Shown:
    """A conversation or a preference; `refusal` says why it cannot be learnt."""

    title: str
    category: str | None
    rows: list[Row]
    refusal: str | None = None


def show(renderer: Renderer, title: str, conversation: Conversation, learn: Learn) -> Shown:
    try:
        rows = [
            Row(_tokens(renderer, sample.input_ids, sample.completion_mask))
            for sample in renderer.samples(conversation, learn)
        ]
    except UserError as error:
        return Shown(title, conversation.category, [], str(error))
    return Shown(title, conversation.category, rows, None if rows else "It holds no message to learn.")


def show_preference(renderer: Renderer, title: str, preference: Preference) -> Shown:
    """The prompt, and behind it each answer: all of both is learnt, in opposite directions."""
    try:
        pair = token_pair(preference, renderer)
    except UserError as error:
        return Shown(title, preference.category, [], str(error))
    start = len(pair.prompt)
    chosen, rejected = (
        _tokens(renderer, pair.prompt + answer, [0] * start + [1] * len(answer))
        for answer in (pair.chosen, pair.rejected)
    )
    rows = [Row(chosen[:start], "prompt"), Row(chosen[start:], "chosen"), Row(rejected[start:], "rejected")]
    return Shown(title, preference.category, rows)


def _tokens(renderer: Renderer, ids: Sequence[int], mask: Sequence[int]) -> list[Token]:
    columns = zip(ids, renderer.pieces(ids), mask, strict=True)
    return [
        Token(index, number, piece.text, piece.special, bool(learnt))
        for index, (number, piece, learnt) in enumerate(columns)
    ]
