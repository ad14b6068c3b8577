"""What to preview: the conversations of a recipe or a file, rendered for a base."""

from itertools import islice
from pathlib import Path

from data.chat import Conversation
from data.errors import UserError
from data.formats import read
from data.sources import Source
from finetune.base.resolve import find
from finetune.preview import page, terminal
from finetune.preview.shown import show
from finetune.render import Learn, open_renderer

DEFAULT_BASE = "smollm2-135m-instruct-awq"


def preview(source: Path, numbers: list[int], html: Path | None, base: str | None) -> None:
    """Show the conversations `numbers` (from 1) of `source`, in the terminal or as one HTML page."""
    sources = [Source(path=str(source))]
    learn: Learn = "all"
    if source.suffix in (".yaml", ".yml"):
        from finetune.recipe import load

        recipe = load(source)
        sources, learn, base = recipe.data.train, recipe.data.learn, base or recipe.base.name
    renderer = open_renderer(find(base or DEFAULT_BASE))
    shown = [show(renderer, where, conversation, learn) for where, conversation in _chosen(sources, numbers)]
    title = f"{source} on {base or DEFAULT_BASE}"
    if html is None:
        terminal.write(title, renderer.identity, shown)
        return
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(page.render(title, renderer.identity, shown), encoding="utf-8")
    terminal.summary(title, shown, html)


def _chosen(sources: list[Source], numbers: list[int]) -> list[tuple[str, Conversation]]:
    """Conversations by their number over all sources; reading stops behind the last one."""
    if min(numbers) < 1:
        raise UserError(f"--sample {min(numbers)}: conversations are numbered from 1; give 1 or more.")
    every = (conversation for one in sources for conversation in read(one.path, one.format))
    found = {
        number: conversation
        for number, conversation in enumerate(islice(every, max(numbers)), 1)
        if number in numbers
    }
    missing = [number for number in numbers if number not in found]
    if missing:
        raise UserError(
            f"--sample {missing[0]}: {', '.join(one.path for one in sources)} holds fewer conversations; give"
            " a smaller number."
        )
    return [(f"conversation {number}", found[number]) for number in numbers]
