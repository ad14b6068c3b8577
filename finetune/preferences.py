"""Preferences to pairs of token rows, split and mixed, with a count of everything that was left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data import digest, rules
from data.errors import UserError
from data.formats.preference import scan
from data.manifest import DatasetEntry
from data.preference import Preference, problems
from data.sources import Source
from data.splits import Split, keys_of
from finetune.kinds import named_format
from finetune.mixture import Rendered, mixture
from finetune.pair import TokenPair, token_pair
from finetune.render import Renderer


@dataclass(frozen=True)
class Pair(TokenPair):
    """A pair, and the place of its record for a person to find."""

    where: str


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of `data.sources.mixed`; `entry` is what the manifest says of them.

    In `entry`, `targets` are pairs, and `tokens` count the prompt twice: once for each answer.
    """

    rows: list[Pair]
    heldout: list[Pair]
    entry: DatasetEntry


def prepare_pairs(
    sources: Sequence[Source],
    renderer: Renderer,
    max_length: int,
    *,
    mix_seed: int = 0,
    heldout: float = 0.0,
    split_seed: int = 0,
) -> Pairs:
    """Render every preference of `sources`, split by prompt, then mix.

    `max_length` is in tokens, of prompt and the longer answer; longer pairs are left out and counted.
    UserError when a record is broken, when the two answers of one stand behind different tokens, or when a
    side stays empty.
    """
    split = Split(heldout, split_seed) if heldout else None
    parts = [
        [
            _render(
                where,
                preference,
                renderer,
                max_length,
                split.add(keys_of(preference.asked())) if split else "",
            )
            for where, preference in _sound(source)
        ]
        for source in sources
    ]
    made = mixture(sources, parts, split, mix_seed, kind="preferences", missing="preferences")
    entry = made.entry(
        digest=digest.of_json([[pair.prompt, pair.chosen, pair.rejected] for pair in made.rows]),
        targets=len(made.rows),
        tokens=sum(pair.tokens for pair in made.rows),
        learnt_tokens=sum(pair.learnt for pair in made.rows),
    )
    return Pairs(made.rows, made.heldout, entry)


def _sound(source: Source) -> Iterator[tuple[str, Preference]]:
    """Preferences with their places; UserError at the first that cannot be read or breaks a rule."""
    if source.format is not None:
        raise named_format(source.path, source.format)
    for record in scan(source.path):
        preference = record.taken()
        for problem in problems(preference):
            if rules.SEVERITY[problem.kind] == "error":
                raise UserError(f"{record.where}: {problem.where}: {problem.message}")
        yield record.where, preference


def _render(
    where: str, preference: Preference, renderer: Renderer, max_length: int, group: str
) -> Rendered[Pair]:
    try:
        pair = token_pair(preference, renderer)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if pair.longest > max_length:
        return Rendered(group, [], Counter({f"longer than {max_length} tokens": 1}))
    return Rendered(group, [Pair(pair.prompt, pair.chosen, pair.rejected, where)], Counter())
