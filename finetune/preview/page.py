"""The preview as one HTML page that needs nothing but itself."""

from data.manifest import RendererId
from finetune.kinds import Kind
from finetune.pages import environment
from finetune.preview.shown import Shown


def render(title: str, renderer: RendererId, kind: Kind, shown: list[Shown]) -> str:
    """The page; everything that the data says is escaped, and no script runs."""
    rows = [row for one in shown for row in one.rows]
    return (
        environment("finetune.preview")
        .get_template("page.html.j2")
        .render(
            title=title,
            renderer=renderer,
            kind=kind,
            shown=shown,
            samples=len(rows),
            tokens=sum(len(row.tokens) for row in rows),
            learnt=sum(row.learnt for row in rows),
            unlearnt=sum(row.learnt for row in rows if row.part == "rejected"),
        )
    )
