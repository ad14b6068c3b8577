"""What a validation reads and measures by, from a recipe or from the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from data.errors import UnknownBaseError, UserError
from data.splits import Split
from finetune import recipe as recipes
from finetune.base.resolve import find
from finetune.kinds import Kind, kind_of
from finetune.validate.chunk import Settings
from finetune.validate.fit import fit
from finetune.validate.report import Source
from finetune.validate.tally import Finding


@dataclass(frozen=True)
class Plan:
    """`base` is the folder whose renderer counts tokens; where it is None, `why` says why."""

    sources: list[Source]
    base: Path | None
    why: str | None
    data: recipes.Data | None
    """The recipe's; None when sources were named, and nothing is too long."""
    findings: list[Finding] = field(default_factory=list)
    """What is wrong with the recipe itself."""

    @property
    def settings(self) -> Settings:
        if self.data is None:
            return Settings(self.base)
        data = self.data
        return Settings(
            self.base,
            data.max_length,
            data.too_long,
            data.learn,
            data.heldout > 0,
            frozenset(data.ignore),
            data.on_error == "skip",
        )

    @property
    def split(self) -> Split | None:
        """A new split as training will make it; None where it holds nothing out."""
        if self.data is None or not self.data.heldout:
            return None
        return Split(self.data.heldout, self.data.split_seed)

    @property
    def limits(self) -> recipes.Limits:
        return self.data.limits if self.data else recipes.Limits()


def plan(given: list[str], heldout: list[str], base: str | None) -> Plan:
    """One recipe or any number of sources; UserError for a mixture of them, or an unknown `base`."""
    named = [one for one in given if one.endswith((".yaml", ".yml"))]
    if not named:
        folder = find(base) if base else None
        why = None if folder else "no base is named; give one with --base, or validate a recipe"
        return Plan(_sources(given, heldout), folder, why, None)
    if len(given) > 1:
        raise UserError(
            f"validate one recipe or any number of sources, not {' '.join(given)}; name each recipe alone."
        )
    recipe = recipes.load(Path(named[0]))
    learned: Kind = "preference" if recipe.method == "dpo" else "conversation"
    data = recipe.data
    sources = [
        *(Source(one.path, False, one.format, learned, given=one) for one in data.train),
        *_sources([], [*map(data.opened, data.heldout_files), *heldout], frozenset(data.ignore)),
    ]
    own, why = None, None
    try:
        own = find(recipe.base.name)
    except UnknownBaseError as error:
        raise UserError(f"{named[0]}: {error}") from None
    except UserError as error:
        # A recipe can be checked before its base is there; everything but tokens and layers is known
        # without it.
        why = None if base else str(error).removesuffix(".")
    folder = find(base) if base else own
    return Plan(sources, folder, why, recipe.data, fit(recipe.lora, named[0], own))


def _sources(trained: list[str], heldout: list[str], ignore: frozenset[str] = frozenset()) -> list[Source]:
    """Sources that no recipe describes: their first records tell what they hold."""
    both = [*((name, False) for name in trained), *((name, True) for name in heldout)]
    return [Source(name, aside, kind=kind_of(name, ignore)) for name, aside in both]
