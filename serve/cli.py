"""`serve`: the server and its registry on the command line. Heavy imports wait for their command."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import UserError
from serve.settings import Settings, ToolStrictLevel

app = typer.Typer(
    help="Serve LoRA adapters from one AWQ base, and manage their versions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Url = Annotated[
    str | None, typer.Option("--url", help="The server; else $ENXERTO_URL, else http://127.0.0.1:8321.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The adapter's name.")]
Alias = Annotated[str, typer.Option("--alias", help="The alias to move.")]


@app.command()
def up(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8321,
    base: Annotated[
        str, typer.Option(help="A base made by `make base`, or its folder.")
    ] = "smollm2-135m-instruct-awq",
    max_loras: Annotated[int, typer.Option(min=1, help="Adapters in the engine at a time.")] = 4,
    max_lora_rank: Annotated[
        int, typer.Option(min=1, help="The highest rank of an adapter.")
    ] = Settings.max_lora_rank,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, help="Tokens of prompt and answer; else the base's own limit.")
    ] = None,
    tool_strict_level: Annotated[
        ToolStrictLevel,
        typer.Option(help="Calls are held to the tools' names (function), their schemas too, or neither."),
    ] = Settings.tool_strict_level,
) -> None:
    """Start the server: vLLM with the base, the registry, and Chat Completions over both."""
    from serve import launch

    launch.up(host, port, base, max_loras, max_lora_rank, max_model_len, tool_strict_level)


@app.command()
def push(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The adapter's folder, as training wrote it.")
    ],
    name: Annotated[str, typer.Option("--name", help="The adapter's name on the server.")],
    alias: Annotated[
        list[str],
        typer.Option("--alias", help="An alias to move once it answers; repeatable."),
    ] = ["default"],  # noqa: B006  typer copies it
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Upload an adapter; it answers requests when this returns."""
    from serve import client

    pushed = client.push(folder, name, alias, url)
    if as_json:
        _print_json(pushed)
        return
    moved = "".join(f", alias {each}" for each in pushed["aliases"])
    typer.echo(f"{pushed['name']}@{pushed['version']} is {pushed['state']}{moved} ({pushed['digest'][:19]})")


@app.command()
def ls(url: Url = None, as_json: Json = False) -> None:
    """List the adapters."""
    from serve import client

    found = client.adapters(url)
    if as_json:
        _print_json(found)
        return
    _print_table(
        ("adapter", "versions", "newest", "aliases"),
        [
            (
                one["name"],
                len(one["versions"]),
                f"{one['versions'][-1]['version']} ({one['versions'][-1]['state']})",
                ", ".join(f"{alias} -> {number}" for alias, number in one["aliases"].items()),
            )
            for one in found
        ],
    )


@app.command()
def show(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Show an adapter's versions and where its aliases point, now and before."""
    from serve import client

    found = client.adapter(name, url)
    if as_json:
        _print_json(found)
        return
    pointing: dict[int, list[str]] = {}
    for alias, number in found["aliases"].items():
        pointing.setdefault(number, []).append(alias)
    _print_table(
        ("version", "state", "aliases", "rank", "digest", "created"),
        [
            (
                one["version"],
                one["state"],
                ", ".join(pointing.get(one["version"], [])),
                one["rank"],
                one["digest"][:19],
                one["created"],
            )
            for one in found["versions"]
        ],
    )
    _print_table(
        ("move", "alias", "from", "to", "time"),
        [
            (move["sequence"], move["alias"], move["previous"] or "", move["version"], move["time"])
            for move in found["history"]
        ],
    )


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="NAME@NUMBER", help="The version, as in support@3.")],
    alias: Alias = "default",
    url: Url = None,
) -> None:
    """Point an alias to a version; requests under way finish on the one that they started with."""
    from serve import client
    from serve.registry.records import Reference

    reference = Reference.parse(version)
    if reference.number is None:
        raise UserError(f"{version!r} is no version; write NAME@NUMBER, as in {reference.name}@3.")
    _print_alias(client.promote(reference.name, reference.number, alias, url))


@app.command()
def rollback(name: Name, alias: Alias = "default", url: Url = None) -> None:
    """Point an alias to where it was before its last move."""
    from serve import client

    _print_alias(client.rollback(name, alias, url))


@app.command()
def chat(
    text: Annotated[
        str | None, typer.Argument(help="What to say; without it, lines from standard input.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="An adapter, as NAME, NAME:ALIAS or NAME@NUMBER; else the base.")
    ] = None,
    url: Url = None,
) -> None:
    """Talk to the base or to an adapter."""
    from serve import client

    model = model or client.base_name(url)
    if text is None and sys.stdin.isatty():
        typer.echo(f"Talking to {model}: a line is a message, Ctrl-D ends.", err=True)
    messages: list[dict[str, Any]] = []
    for line in [text] if text is not None else sys.stdin:
        messages.append({"role": "user", "content": line.strip()})
        messages.append({"role": "assistant", "content": client.chat(messages, model, url)})


def main() -> None:
    """The console script: a UserError is one line on standard error and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def _print_alias(moved: dict[str, Any]) -> None:
    typer.echo(f"{moved['name']}:{moved['alias']} -> version {moved['version']}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
