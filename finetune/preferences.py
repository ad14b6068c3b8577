"""Preferences to pairs of token rows, split and mixed, with a count of everything that was left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from data import digest
from data.errors import UserError
from data.formats.preference import scan
from data.manifest import DatasetEntry
from data.preference import problems
from data.sources import Source
from data.splits import Split, keys_of
from finetune.intake import UNRENDERABLE, Intake
from finetune.kinds import check
from finetune.mixture import Rendered, mixture
from finetune.pair import TokenPair, token_pair
from finetune.render import Renderer
from finetune.too_long import longer


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
    intake: Intake = field(default_factory=Intake)


def prepare_pairs(
    sources: Sequence[Source],
    renderer: Renderer,
    max_length: int,
    *,
    mix_seed: int = 0,
    heldout: float = 0.0,
    split_seed: int = 0,
    ignore: frozenset[str] = frozenset(),
    intake: Intake | None = None,
    most_dropped: float = 1.0,
) -> Pairs:
    """Render every preference of `sources`, split by prompt, then mix.

    `max_length` is in tokens, of prompt and the longer answer; longer pairs are left out and counted. Keys in
    `ignore` are passed over, and `intake` says what becomes of bad records: broken ones, and those whose two
    answers stand behind different tokens. UserError when a side stays empty, and when more than the share
    `most_dropped` of what could be learned is left out.
    """
    split = Split(heldout, split_seed) if heldout else None
    intake = intake or Intake()

    def rendered(source: Source) -> list[Rendered[Pair]]:
        check(source, "preference", ignore)
        found = []
        for where, preference in intake.sound(scan(source.at, ignore=ignore), problems):
            try:
                pair = token_pair(preference, renderer)
            except UserError as error:
                intake.refuse(where, UNRENDERABLE, str(error))
                continue
            group = split.add(keys_of(preference.asked())) if split else ""
            if pair.longest > max_length:
                found.append(Rendered[Pair](group, [], Counter({longer(max_length): 1}), pair.longest))
            else:
                row = Pair(pair.prompt, pair.chosen, pair.rejected, where)
                found.append(Rendered(group, [row], Counter()))
        return found

    parts = [rendered(source) for source in sources]
    intake.finish()
    made = mixture(
        sources, parts, split, mix_seed, kind="preferences", intake=intake, most_dropped=most_dropped
    )
    entry = made.entry(
        digest=digest.of_json([[pair.prompt, pair.chosen, pair.rejected] for pair in made.rows]),
        targets=len(made.rows),
        tokens=sum(pair.tokens for pair in made.rows),
        learnt_tokens=sum(pair.learnt for pair in made.rows),
    )
    return Pairs(made.rows, made.heldout, entry, intake)
