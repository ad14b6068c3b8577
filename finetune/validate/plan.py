"""What a validation reads and measures by, from a recipe or from the command line."""

from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError
from data.splits import Split
from finetune import recipe as recipes
from finetune.base.resolve import find
from finetune.validate.examine import Settings
from finetune.validate.report import Source


@dataclass(frozen=True)
class Plan:
    """`base` is the folder whose renderer counts tokens; where it is None, `why` says why."""

    sources: list[Source]
    base: Path | None
    why: str | None
    data: recipes.Data | None
    """The recipe's; None when sources were named, and nothing is too long."""

    @property
    def settings(self) -> Settings:
        if self.data is None:
            return Settings(self.base)
        return Settings(self.base, self.data.max_length, self.data.learn, self.data.heldout > 0)

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
    sources = [
        *(Source(one.path, False, one.format) for one in recipe.data.train),
        *_sources([], [*map(str, recipe.data.heldout_files), *heldout]),
    ]
    folder, why = find(base) if base else None, None
    if folder is None:
        try:
            folder = find(recipe.base.name)
        except UserError as error:
            # A recipe can be checked before its base is there; everything but tokens is known without it.
            why = str(error).removesuffix(".")
    return Plan(sources, folder, why, recipe.data)


def _sources(trained: list[str], heldout: list[str]) -> list[Source]:
    return [*(Source(name, False) for name in trained), *(Source(name, True) for name in heldout)]
