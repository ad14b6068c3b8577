"""HTML pages that need nothing but themselves."""

from pathlib import Path

import jinja2


def environment(package: str) -> jinja2.Environment:
    """Templates beside the code of `package`, and `pages.css`, the look that reports share.

    Everything that data says is escaped.
    """
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, ".") for name in (package, "finetune")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def write(path: Path, page: str) -> None:
    """Whole or not at all. What UTF-8 cannot hold (half a surrogate pair) is written as its escape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".part")
    staged.write_text(page, encoding="utf-8", errors="backslashreplace")
    staged.replace(path)
