"""The preview in a terminal."""

from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from data.manifest import RendererId
from finetune.kinds import Kind
from finetune.preview.shown import Row, Shown, Token

LEARNT = ("black on green3", "black on dark_sea_green3")
CONTEXT = ("grey62", "grey74")
REJECTED = ("black on light_salmon3", "black on light_salmon1")
SPECIAL_LEARNT = "bold white on dark_green"
SPECIAL_REJECTED = "bold white on dark_red"
SPECIAL = "bold cyan"
OPEN, CLOSE = "[[", "]]"
"""Around what is learned, where there is no color."""


def write(title: str, renderer: RendererId, shown: list[Shown]) -> None:
    """Everything to standard output; plain text where that is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(title, style="bold"))
    console.print(f"renderer {renderer.name} v{renderer.version}, {renderer.digest[:19]}", style="dim")
    console.print(_legend(any(row.part for one in shown for row in one.rows), _marks(console)))
    for one in shown:
        _record(console, one)


def summary(title: str, kind: Kind, shown: list[Shown], html: Path) -> None:
    rows = [row for one in shown for row in one.rows]
    tokens, learnt = sum(len(row.tokens) for row in rows), sum(row.learnt for row in rows)
    console = Console(highlight=False, soft_wrap=True)
    count = _many(len(shown), kind)
    samples = "" if kind == "preference" else f" {_many(len(rows), 'sample')},"
    console.print(f"{title}: {count},{samples} {tokens} tokens, {learnt} learned", markup=False)
    console.print(f"wrote {html}", markup=False)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def counts(row: Row) -> str:
    """How many tokens a row has, and how many of them are learned."""
    if row.part == "prompt":
        return f"prompt: {len(row.tokens)} tokens"
    if row.part is not None:
        what = "to prefer" if row.part == "chosen" else "to avoid"
        learned = f"all learned as the answer {what}" if row.learnt else f"the answer {what}, not learned"
        return f"{row.part}: {len(row.tokens)} tokens, {learned}"
    share, answers = 100 * row.learnt / len(row.tokens), "answer" if row.targets == 1 else "answers"
    return f"{len(row.tokens)} tokens, {row.learnt} learned ({share:.0f}%) in {row.targets} {answers}"


def _record(console: Console, one: Shown) -> None:
    category = f" · {one.category}" if one.category else ""
    title = Text(_safe(f"{one.title}{category} · {one.where}"), style="bold")
    console.print(Rule(title, align="left", style="grey37"))
    for note in one.notes:
        console.print(Text(_safe(note), style="yellow"))
    for number, row in enumerate(one.rows, 1):
        if len(one.rows) > 1 and not row.part:
            console.print(Text(f"sample {number} of {len(one.rows)}", style="bold"))
        if row.note:
            console.print(Text(row.note, style="yellow"))
        console.print(counts(row), style="dim")
        console.print(_tokens(row, _marks(console)))
    if one.refusal:
        console.print(Text(_safe(one.refusal), style="red"))


def _marks(console: Console) -> bool:
    """Whether signs must say what colors cannot: in a file, a pipe, or a terminal without colors."""
    return console.no_color or console.color_system is None


def _tokens(row: Row, marks: bool) -> Text:
    text, inside = Text(), False
    for token in row.tokens:
        if marks and token.learnt != inside:
            text.append(OPEN if token.learnt else CLOSE)
            inside = token.learnt
        text.append(_safe(token.visible), _style(token, row.part == "rejected"))
    return text.append(CLOSE) if inside else text


def _style(token: Token, rejected: bool) -> str:
    """Neighbours differ a little, so that each token is seen."""
    if not token.learnt:
        return SPECIAL if token.special else CONTEXT[token.index % 2]
    if token.special:
        return SPECIAL_REJECTED if rejected else SPECIAL_LEARNT
    return (REJECTED if rejected else LEARNT)[token.index % 2]


def _safe(text: str) -> str:
    """No character of the data steers the terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )


def _legend(compared: bool, marks: bool) -> Text:
    signs = ("· blank  → tab  ⏎ line end  ◌ part of a character", "dim")
    if marks:
        return Text.assemble(f"{OPEN}learned{CLOSE}  context  ", signs)
    learned: list[str | tuple[str, str]] = (
        [(" chosen ", LEARNT[0]), " ", (" rejected ", REJECTED[0])]
        if compared
        else [(" learned ", LEARNT[0]), " ", (" learned control ", SPECIAL_LEARNT)]
    )
    return Text.assemble(*learned, " ", ("context", CONTEXT[1]), "  ", ("control", SPECIAL), "  ", signs)
