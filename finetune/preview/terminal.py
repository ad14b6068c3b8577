"""The preview in a terminal."""

from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from data.manifest import RendererId
from finetune.preview.shown import Row, Shown, Token

LEARNT = ("black on green3", "black on dark_sea_green3")
CONTEXT = ("grey62", "grey74")
SPECIAL_LEARNT = "bold white on dark_green"
SPECIAL = "bold cyan"


def write(title: str, renderer: RendererId, shown: list[Shown]) -> None:
    """Everything to standard output; plain text where that is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(title, style="bold"))
    console.print(f"renderer {renderer.name} v{renderer.version}, {renderer.digest[:19]}", style="dim")
    console.print(_legend())
    for one in shown:
        _conversation(console, one)


def summary(title: str, shown: list[Shown], html: Path) -> None:
    rows = [row for one in shown for row in one.rows]
    tokens, learnt = sum(len(row.tokens) for row in rows), sum(row.learnt for row in rows)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{title}: {len(shown)} conversations, {len(rows)} samples, {tokens} tokens, {learnt} learnt"
    )
    console.print(f"wrote {html}", markup=False)


def counts(row: Row) -> str:
    share, answers = 100 * row.learnt / len(row.tokens), "answer" if row.targets == 1 else "answers"
    return f"{len(row.tokens)} tokens, {row.learnt} learnt ({share:.0f}%) in {row.targets} {answers}"


def _conversation(console: Console, one: Shown) -> None:
    category = f" · {one.category}" if one.category else ""
    for number, row in enumerate(one.rows, 1):
        part = f" · sample {number} of {len(one.rows)}" if len(one.rows) > 1 else ""
        console.print(Rule(Text(f"{one.title}{category}{part}", style="bold"), align="left", style="grey37"))
        console.print(counts(row), style="dim")
        console.print(_tokens(row))
    if one.refusal:
        console.print(Rule(Text(f"{one.title}{category}", style="bold"), align="left", style="grey37"))
        console.print(Text(one.refusal, style="red"))


def _tokens(row: Row) -> Text:
    text = Text()
    for token in row.tokens:
        text.append(_safe(token.visible), _style(token))
    return text


def _style(token: Token) -> str:
    """Neighbours differ a little, so that each token is seen."""
    if token.special:
        return SPECIAL_LEARNT if token.learnt else SPECIAL
    return (LEARNT if token.learnt else CONTEXT)[token.index % 2]


def _safe(text: str) -> str:
    """No character of the data steers the terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )


def _legend() -> Text:
    return Text.assemble(
        (" learnt ", LEARNT[0]), " ", (" learnt control ", SPECIAL_LEARNT), " ",
        ("context", CONTEXT[1]), "  ", ("control", SPECIAL), "  ",
        ("· blank  → tab  ⏎ line end  ◌ part of a character", "dim"),
    )  # fmt: skip
