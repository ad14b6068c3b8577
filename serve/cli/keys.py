"""`serve keys`: who may ask for what."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from data import commands
from data.errors import UserError
from serve.cli.printing import Blobs, Database, Json, Registry, Url, as_json, say, table, when

app = commands.group("API keys: make, list and revoke them.")


@app.command(cls=commands.Command)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str],
        typer.Option(help="chat asks; push also uploads and moves aliases; admin does all. Repeatable."),
    ] = ["chat"],  # noqa: B006  typer copies it
    adapter: Annotated[
        list[str] | None, typer.Option(help="An adapter that the key reaches; repeatable. Else all.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="Days until it expires. Else never.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Write to this machine's registry, without any key.")
    ] = False,
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make a key and print its secret, which is shown this once."""
    expires = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    if local:
        made = _create_here(name, scope, adapter, expires, registry, database, blobs)
    else:
        from serve.client.registry import create_key

        made = create_key(name, scope, adapter, expires, url)
    if json:
        as_json(made)
        return
    typer.echo(made["secret"])


@app.command(cls=commands.Command)
@app.command("list", cls=commands.Command, hidden=True)
def ls(url: Url = None, json: Json = False) -> None:
    """List the keys, revoked and expired ones too."""
    from serve.client.registry import keys

    found = keys(url)
    if json:
        as_json(found)
        return
    table(
        ("key", "scopes", "adapters", "made", "expires", "revoked"),
        [
            (
                one["name"],
                ", ".join(one["scopes"]),
                "all" if one["adapters"] is None else ", ".join(one["adapters"]),
                when(one["created"]),
                when(one["expires"]),
                when(one["revoked"]),
            )
            for one in found
        ],
    )


@app.command(cls=commands.Command)
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Have a key open nothing any more, on every server of the registry within a second."""
    from serve.client.registry import revoke_key

    revoked = revoke_key(name, url)
    if json:
        as_json(revoked)
        return
    say(f"{name} is revoked")


def _create_here(
    name: str,
    scope: list[str],
    adapter: list[str] | None,
    expires: datetime | None,
    registry: Any,
    database: str | None,
    blobs: str | None,
) -> dict[str, Any]:
    from serve.cli.upkeep import opened
    from serve.registry.keys import SCOPES

    if unknown := set(scope) - set(SCOPES):
        raise UserError(f"{min(unknown)!r} is no scope; choose of {', '.join(SCOPES)}.")
    with opened(registry, database, blobs) as storage:
        scopes = [each for each in SCOPES if each in scope]
        return {"name": name, "secret": storage.keys.create(name, scopes, adapter, expires)}
