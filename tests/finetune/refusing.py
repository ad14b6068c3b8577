"""A base whose chat template refuses a word, as some refuse an order of roles."""

from pathlib import Path

WORD = "unspeakable"
_REFUSE = "{%- for m in messages if 'unspeakable' in m.content -%}{{ raise_exception('no') }}{%- endfor -%}"


def refusing_base(home: Path, base: Path) -> Path:
    """The base's folder in an `$ENXERTO_HOME` of its own, with that template."""
    folder = home / "bases" / base.name
    folder.mkdir(parents=True)
    for path in base.iterdir():
        if path.name == "chat_template.jinja":
            (folder / path.name).write_text(_REFUSE + path.read_text())
        elif path.name == "base.json":  # which is written again, since the template is another one
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path.resolve())
    return folder
