"""A sample as it is looked at: tokens with their text, id and whether they are learned."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from data import rules
from data.chat import AssistantMessage, Conversation
from data.errors import UserError
from data.formats import Record
from data.formats.preference import PreferenceRecord
from data.mistakes import listed
from data.preference import problems
from data.rules import Problem
from finetune.intake import OnError, first_error
from finetune.pair import token_pair
from finetune.render import Learn, Renderer, Sample, targets
from finetune.too_long import TooLong, answers, fitted

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
class Settings:
    """What a recipe does with its records; without one nothing is too long."""

    max_length: int | None = None
    too_long: TooLong = "drop"
    learn: Learn = "all"
    on_error: OnError = "stop"


@dataclass(frozen=True)
class Row:
    """A sample, or a part of a preference; then `part` says which. `note` says what was cut or left out."""

    tokens: list[Token]
    part: Part | None = None
    note: str | None = None

    @property
    def learnt(self) -> int:
        return sum(token.learnt for token in self.tokens)

    @property
    def targets(self) -> int:
        """Runs of learned tokens."""
        flags = [token.learnt for token in self.tokens]
        return sum(now and not before for before, now in zip([False, *flags], flags, strict=False))


@dataclass(frozen=True)
class Shown:
    """A record as training has it; `refusal` says why it cannot be learned, `notes` what of it is not."""

    title: str
    where: str
    category: str | None = None
    rows: list[Row] = field(default_factory=list)
    refusal: str | None = None
    notes: list[str] = field(default_factory=list)
    unreadable: bool = False


def show(renderer: Renderer, title: str, record: Record, settings: Settings) -> Shown:
    """A conversation's rows, each as it is learned, cut or left out."""
    if (conversation := record.conversation) is None:
        return Shown(title, record.where, refusal=record.problem, unreadable=True)
    notes = [*_unlearned(conversation, settings.learn), *_unused(record.unused)]
    found = rules.problems(conversation)
    refusal, warnings = _judged(found, settings)
    shown = Shown(title, record.where, conversation.category, refusal=refusal, notes=[*notes, *warnings])
    if refusal:
        return shown
    try:
        rows = [_row(renderer, one, settings) for one in renderer.samples(conversation, settings.learn)]
    except UserError as error:
        return replace(shown, refusal=str(error))
    return replace(shown, rows=rows, refusal=None if rows else "It holds no message to learn.")


def _row(renderer: Renderer, sample: Sample, settings: Settings) -> Row:
    limit, length = settings.max_length, len(sample.input_ids)
    kept = fitted(sample, limit, settings.too_long)
    if kept is None:
        why = "" if settings.too_long == "drop" else ", and no answer stands whole before it is cut"
        left = f"left out of training: {length:,} tokens, more than data.max_length ({limit:,}){why}"
        return Row(_tokens(renderer, sample.input_ids, [0] * length), note=left)
    note = None
    if kept is not sample:
        lost = listed(len(answers(sample)) - len(answers(kept)), ("answer", "answers"))
        note = (
            f"cut from {length:,} tokens, as data.max_length is {limit:,}: {lost} behind the cut not learned"
        )
    return Row(_tokens(renderer, kept.input_ids, kept.completion_mask), note=note)


def show_preference(renderer: Renderer, title: str, record: PreferenceRecord, settings: Settings) -> Shown:
    """The prompt, and behind it each answer: all of both is learned, in opposite directions."""
    if (preference := record.preference) is None:
        return Shown(title, record.where, refusal=record.problem, unreadable=True)
    refusal, warnings = _judged(problems(preference), settings)
    notes = [*_unused(record.unused), *warnings]
    shown = Shown(title, record.where, preference.category, refusal=refusal, notes=notes)
    if refusal:
        return shown
    try:
        pair = token_pair(preference, renderer)
    except UserError as error:
        return replace(shown, refusal=str(error))
    start, limit = len(pair.prompt), settings.max_length
    note, learned = None, 1
    if limit is not None and pair.longest > limit:
        note, learned = (
            f"left out of training: {pair.longest:,} tokens, more than data.max_length ({limit:,})",
            0,
        )
    chosen, rejected = (
        _tokens(renderer, pair.prompt + answer, [0] * start + [learned] * len(answer))
        for answer in (pair.chosen, pair.rejected)
    )
    rows = [
        Row(chosen[:start], "prompt", note),
        Row(chosen[start:], "chosen"),
        Row(rejected[start:], "rejected"),
    ]
    return replace(shown, rows=rows)


def _judged(found: list[Problem], settings: Settings) -> tuple[str | None, list[str]]:
    """Why training stops at a record or skips it, and what is wrong with it otherwise."""
    if (first := first_error(found)) is not None:
        what = "training stops here" if settings.on_error == "stop" else "training skips it"
        return f"{first.where}: {first.message} ({what})", []
    return None, [f"{one.where}: {one.message}" for one in found if rules.SEVERITY[one.kind] == "warning"]


def _unlearned(conversation: Conversation, learn: Learn) -> list[str]:
    """The answers that are shown to the model and not learned, each with the reason."""
    learned = targets(conversation, learn)
    reasons = {"last": "data.learn is last", "tool_calls": "it calls no tool, and data.learn is tool_calls"}
    return [
        f"message {position + 1}, an answer, is shown and not learned: "
        + ("its weight is 0" if not message.weight else reasons.get(learn, ""))
        for position, message in enumerate(conversation.messages)
        if isinstance(message, AssistantMessage) and position not in learned
    ]


def _unused(keys: Sequence[str]) -> list[str]:
    return [f"keys that say nothing to the model: {', '.join(keys)}"] if keys else []


def _tokens(renderer: Renderer, ids: Sequence[int], mask: Sequence[int]) -> list[Token]:
    columns = zip(ids, renderer.pieces(ids), mask, strict=True)
    return [
        Token(index, number, piece.text, piece.special, bool(learnt))
        for index, (number, piece, learnt) in enumerate(columns)
    ]
