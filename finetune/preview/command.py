"""What to preview: records of a recipe or a file as training reads, renders and cuts them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from data.errors import UserError
from data.formats import Raw, preference, raw, record
from data.sources import Source
from finetune import pages
from finetune.base.resolve import find
from finetune.kinds import Kind, check, kind_of
from finetune.preview import page, terminal
from finetune.preview.shown import Settings, Shown, show, show_preference
from finetune.render import Renderer, open_renderer

DEFAULT_BASE = "smollm2-135m-instruct-awq"

Chosen = tuple[Raw, Source]


def preview(source: Path, numbers: list[int], html: Path | None, base: str | None) -> None:
    """Show the records `numbers` (from 1) of `source`, in the terminal or as one HTML page.

    A recipe's records are shown as its training has them. UserError where none of them can be read.
    """
    settings, ignore = Settings(), frozenset[str]()
    if source.suffix in (".yaml", ".yml"):
        from finetune.recipe import load

        recipe = load(source)
        data, sources, base = recipe.data, recipe.data.train, base or recipe.base.name
        settings = Settings(data.max_length, data.too_long, data.learn, data.on_error)
        kind: Kind = "preference" if recipe.method == "dpo" else "conversation"
        ignore = frozenset(data.ignore)
        for one in sources:
            check(one, kind, ignore)
    else:
        sources, kind = [Source(path=str(source))], kind_of(str(source))
    if min(numbers) < 1:
        raise UserError(f"--sample {min(numbers)}: records are numbered from 1; give 1 or more.")
    chosen = _chosen(_records(sources), sources, numbers)
    renderer = open_renderer(find(base or DEFAULT_BASE))
    shown = [
        _shown(renderer, kind, number, one, ignore, settings)
        for number, one in zip(numbers, chosen, strict=True)
    ]
    if all(one.unreadable for one in shown):
        raise UserError("\n".join(f"{one.where}: {one.refusal}" for one in shown))
    title = f"{source} on {base or DEFAULT_BASE}"
    if html is None:
        terminal.write(title, renderer.identity, shown)
        return
    pages.write(html, page.render(title, renderer.identity, kind, shown))
    terminal.summary(title, kind, shown, html)


def _shown(
    renderer: Renderer, kind: Kind, number: int, one: Chosen, ignore: frozenset[str], settings: Settings
) -> Shown:
    unread, source = one
    title = f"{kind} {number}"
    if kind == "conversation":
        return show(renderer, title, record(unread, source.format, ignore), settings)
    return show_preference(renderer, title, preference.record(unread, ignore), settings)


def _records(sources: Iterable[Source]) -> Iterator[Chosen]:
    for source in sources:
        for one in raw(source.at):
            yield one, source


def _chosen(every: Iterable[Chosen], sources: list[Source], numbers: list[int]) -> list[Chosen]:
    """Records by their number over all sources, bad ones among them; reading stops behind the last one."""
    found: dict[int, Chosen] = {}
    last, broken = 0, ""
    for last, (one, source) in enumerate(islice(every, max(numbers)), 1):
        broken = f"{one.where}: {one.problem}" if one.ends else broken
        if last in numbers:
            found[last] = one, source
    missing = [number for number in numbers if number not in found]
    if missing:
        paths = ", ".join(one.path for one in sources)
        fewer = f"fewer records; give at most {last}." if last else "no record; check it."
        raise UserError(broken or f"--sample {missing[0]}: {paths} holds {fewer}")
    return [found[number] for number in numbers]
