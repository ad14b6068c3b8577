"""What to preview: conversations or preferences of a recipe or a file, rendered for a base."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from data.errors import UserError
from data.formats import preference, read
from data.sources import Source
from finetune import pages
from finetune.base.resolve import find
from finetune.kinds import Kind, kind_of
from finetune.preview import page, terminal
from finetune.preview.shown import Shown, show, show_preference
from finetune.render import Learn, Renderer, open_renderer

DEFAULT_BASE = "smollm2-135m-instruct-awq"

Record = TypeVar("Record")


def preview(source: Path, numbers: list[int], html: Path | None, base: str | None) -> None:
    """Show the records `numbers` (from 1) of `source`, in the terminal or as one HTML page."""
    learn: Learn = "all"
    if source.suffix in (".yaml", ".yml"):
        from finetune.recipe import load

        recipe = load(source)
        sources, learn, base = recipe.data.train, recipe.data.learn, base or recipe.base.name
        kind: Kind = "preference" if recipe.method == "dpo" else "conversation"
    else:
        sources, kind = [Source(path=str(source))], kind_of(str(source))
    if min(numbers) < 1:
        raise UserError(f"--sample {min(numbers)}: {kind}s are numbered from 1; give 1 or more.")
    renderer = open_renderer(find(base or DEFAULT_BASE))
    shown = _shown(renderer, kind, sources, numbers, learn)
    title = f"{source} on {base or DEFAULT_BASE}"
    if html is None:
        terminal.write(title, renderer.identity, shown)
        return
    pages.write(html, page.render(title, renderer.identity, kind, shown))
    terminal.summary(title, kind, shown, html)


def _shown(
    renderer: Renderer, kind: Kind, sources: Sequence[Source], numbers: list[int], learn: Learn
) -> list[Shown]:
    titles = [f"{kind} {number}" for number in numbers]
    if kind == "conversation":
        read_ones = (one for source in sources for one in read(source.path, source.format))
        chosen = _chosen(read_ones, sources, numbers)
        return [show(renderer, title, one, learn) for title, one in zip(titles, chosen, strict=True)]
    pairs = (record.taken() for source in sources for record in preference.scan(source.path))
    compared = _chosen(pairs, sources, numbers)
    return [show_preference(renderer, title, one) for title, one in zip(titles, compared, strict=True)]


def _chosen(every: Iterable[Record], sources: Sequence[Source], numbers: list[int]) -> list[Record]:
    """Records by their number over all sources; reading stops behind the last one."""
    found = {
        number: record for number, record in enumerate(islice(every, max(numbers)), 1) if number in numbers
    }
    missing = [number for number in numbers if number not in found]
    if missing:
        raise UserError(
            f"--sample {missing[0]}: {', '.join(one.path for one in sources)} holds fewer records; give a"
            " smaller number."
        )
    return [found[number] for number in numbers]
