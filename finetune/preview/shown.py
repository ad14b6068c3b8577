"""A sample as it is looked at: tokens with their text, id and whether they are learnt."""

from dataclasses import dataclass

from data.chat import Conversation
from data.errors import UserError
from finetune.render import Learn, Renderer, Sample

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
    tokens: list[Token]

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
    """One conversation; `refusal` says why it cannot be learnt."""

    title: str
    category: str | None
    rows: list[Row]
    refusal: str | None = None


def show(renderer: Renderer, title: str, conversation: Conversation, learn: Learn) -> Shown:
    try:
        rows = [_row(renderer, sample) for sample in renderer.samples(conversation, learn)]
    except UserError as error:
        return Shown(title, conversation.category, [], str(error))
    return Shown(title, conversation.category, rows, None if rows else "It holds no message to learn.")


def _row(renderer: Renderer, sample: Sample) -> Row:
    pieces = renderer.pieces(sample.input_ids)
    columns = zip(sample.input_ids, pieces, sample.completion_mask, strict=True)
    return Row(
        [
            Token(index, number, piece.text, piece.special, bool(learnt))
            for index, (number, piece, learnt) in enumerate(columns)
        ]
    )
