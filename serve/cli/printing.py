"""How the commands answer: a table for people, JSON for programs; and the options that many share."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import plain

Url = Annotated[
    str | None, typer.Option("--url", help="The server; else $ENXERTO_URL, else http://127.0.0.1:8321.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The adapter's name.")]
Versioned = Annotated[str, typer.Argument(metavar="NAME@NUMBER", help="The version, as in support@3.")]
Registry = Annotated[
    Path | None, typer.Option(help="The registry's folder; else the one that `serve up` takes.")
]
Database = Annotated[
    str | None,
    typer.Option(envvar="ENXERTO_DATABASE_URL", help="postgresql://...; else SQLite in the folder."),
]
Blobs = Annotated[
    str | None,
    typer.Option(envvar="ENXERTO_BLOBS_URL", help="A folder or s3://BUCKET/PREFIX; else in the folder."),
]


def as_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def say(text: str, err: bool = False) -> None:
    """A line of which parts may be anybody's: nothing in it steers the terminal, however it came in."""
    typer.echo(plain(text), err=err)


def table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        # As Text: in a str the brackets of somebody's reason would be rich's markup.
        shown.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in row))
    Console().print(shown)


def size(count: int) -> str:
    """Bytes for people, in powers of 1000."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def when(time: str | None) -> str:
    """An ISO time without its fractions, in UTC."""
    return (time or "")[:19].replace("T", " ")
