"""The rows that a recipe's data gives, as lengths: rendered, or guessed from characters.

Of a large source a sample of its records is looked at, drawn evenly and always the same.
"""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from data.chat import Conversation
from data.errors import UserError
from data.formats import preference, raw, record
from data.sources import Source
from finetune.kinds import check
from finetune.recipe import Recipe
from finetune.render import Renderer, targets
from finetune.too_long import fitted

Row = tuple[int, int]
"""Tokens, and how many of them are learnt."""

_LOOKED_AT = 2000
"""Records of a source: rendering them takes a few seconds."""

_CHARACTERS = 3.5
"""Of a record's JSON a token. The sample data has 3.6 with the embedded base's tokenizer."""

_LEARNT = 1 / 3
"""Of the tokens, where there is no data to look at; the same share as in the sample data."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Rows:
    """`examples` stand for `count` ones to train on; `heldout` more are kept aside. `origin` is for people.

    An example is a row; for `dpo` two, the preferred answer and the other one, each behind the prompt.
    """

    examples: list[list[Row]]
    count: int
    heldout: int
    origin: str

    @property
    def mean(self) -> float:
        """Tokens of a mean example."""
        return sum(length for example in self.examples for length, _ in example) / len(self.examples)


def given(recipe: Recipe, count: int, tokens: int) -> Rows:
    """`count` examples of `tokens` tokens (pairs: of both answers together), as a person said."""
    each = [tokens] if recipe.method == "sft" else [tokens - tokens // 2, tokens // 2]
    example = [(length, round(_LEARNT * length)) for length in each]
    aside = round(recipe.data.heldout * count)
    return Rows(
        [example], count - aside, aside, f"{count:,} of {tokens:,} tokens, a third learnt: as you said"
    )


def counted(recipe: Recipe, renderer: Renderer | None, whole: bool) -> Rows:
    """The rows of the recipe's sources. UserError when one cannot be read, or no example is left.

    Without a `renderer` tokens are guessed from characters; `whole` says whether a conversation is then one
    row, or one for each target.
    """
    examples: list[list[Row]] = []
    worth: list[float] = []
    aside, partly = 0.0, False
    for source in recipe.data.train:
        records, total = _drawn(_records(recipe, source))
        partly = partly or len(records) < total
        for one in records:
            found = [example for example in _examples(recipe, one, renderer, whole) if example]
            examples += found
            worth += [source.weight * total / len(records)] * len(found)
            aside += len(found) * recipe.data.heldout * total / len(records)
    if not examples:
        raise UserError(
            f"nothing to learn in {', '.join(source.path for source in recipe.data.train)}; raise"
            " data.max_length, or look with `finetune validate`."
        )
    count = max(1, round(sum(worth) * (1 - recipe.data.heldout)))
    if len(recipe.data.train) > 1:
        examples = random.Random(0).choices(examples, worth, k=_LOOKED_AT)
    how = "counted" if renderer else f"guessed, {_CHARACTERS} characters a token, as the base is not here"
    sample = f" from {_LOOKED_AT:,} records of each source" if partly else ""
    return Rows(examples, count, round(aside), how + sample)


def _records(recipe: Recipe, source: Source) -> Iterator[Any]:
    """Conversations before any importer, or preferences."""
    if source.path.startswith("hf:"):
        raise UserError(
            f"{source.path} is not here to be counted; say how many examples it has and how long they are,"
            " such as --rows 5000 --tokens 600."
        )
    check(source, "preference" if recipe.method == "dpo" else "conversation", frozenset(recipe.data.ignore))
    return ((one, source.format) for one in raw(source.at))


def _drawn(items: Iterable[Item]) -> tuple[list[Item], int]:
    """At most `_LOOKED_AT` items in their order, each as likely as any other, and how many there were."""
    chooser, kept, total = random.Random(0), dict[int, tuple[int, Item]](), 0
    for total, item in enumerate(items, 1):
        place = total - 1 if total <= _LOOKED_AT else chooser.randrange(total)
        if place < _LOOKED_AT:
            kept[place] = (total, item)
    return [item for _, item in sorted(kept.values(), key=lambda pair: pair[0])], total


def _examples(recipe: Recipe, one: Any, renderer: Renderer | None, whole: bool) -> list[list[Row]]:
    """The examples of one record within `data.max_length`; empty ones are left out of training.

    A record that cannot be learned has none where training skips it, and is a UserError otherwise.
    """
    ignored, (unread, format) = frozenset(recipe.data.ignore), one
    try:
        if recipe.method == "sft":
            conversation = record(unread, format, ignored).taken()
            return [[row] if row else [] for row in _rows(conversation, recipe, renderer, whole)]
        pair = preference.record(unread, ignored).taken()
        answers = [pair.answered(answer) for answer in (pair.chosen, pair.rejected)]
        found = [_rows(answer, recipe, renderer, whole, last=True)[-1] for answer in answers]
        return [[row for row in found if row]] if all(found) else [[]]
    except UserError:
        if recipe.data.on_error == "stop":
            raise
        return []


def _rows(
    conversation: Conversation, recipe: Recipe, renderer: Renderer | None, whole: bool, last: bool = False
) -> list[Row | None]:
    """Length and learned tokens of each row; None where it is too long."""
    learn, limit = "last" if last else recipe.data.learn, recipe.data.max_length
    if renderer is not None:
        samples = renderer.samples(conversation, learn)
        kept = (fitted(sample, limit, recipe.data.too_long) for sample in samples)
        return [(len(one.input_ids), sum(one.completion_mask[1:])) if one else None for one in kept]
    tools = sum(_tokens(tool) for tool in conversation.tools)
    lengths = [_tokens(message) for message in conversation.messages]
    learnt = targets(conversation, learn)
    if whole:
        # Cut behind the last whole answer, as `fitted` does.
        ends = [at for at in learnt if tools + sum(lengths[: at + 1]) <= limit]
        if not learnt:
            return []
        if recipe.data.too_long == "truncate":
            return (
                [(tools + sum(lengths[: ends[-1] + 1]), sum(lengths[at] for at in ends))] if ends else [None]
            )
        total = tools + sum(lengths)
        return [(total, sum(lengths[at] for at in learnt)) if total <= limit else None]
    rows = [(tools + sum(lengths[: at + 1]), lengths[at]) for at in learnt]
    return [row if row[0] <= limit else None for row in rows]


def _tokens(part: Any) -> int:
    text = json.dumps(part.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
    return max(1, round(len(text) / _CHARACTERS))
