"""`serve keys`: who may ask for what."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from data import commands
from data.errors import UserError
from serve.cli.printing import Blobs, Database, Json, Registry, Url, as_json, say, table, when

app = commands.group("API keys: make, list, limit and revoke them.")

RequestsPerMinute = Annotated[int | None, typer.Option(min=1, help="Chats in a minute. Else any number.")]
TokensPerMinute = Annotated[
    int | None, typer.Option(min=1, help="Tokens in and out in a minute. Else any number.")
]
TokensPerDay = Annotated[
    int | None, typer.Option(min=1, help="Tokens in and out in a day of UTC. Else any number.")
]


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
    group: Annotated[
        str | None, typer.Option(help="Keys of one group share a cache of prompts. Else each has its own.")
    ] = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
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
    limits = _limits(requests_per_minute, tokens_per_minute, tokens_per_day)
    if local:
        made = _create_here(name, scope, adapter, expires, group, limits, registry, database, blobs)
    else:
        from serve.client.registry import create_key

        made = create_key(name, scope, adapter, expires, url, group, limits)
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
        ("key", "scopes", "adapters", "group", "limits", "made", "expires", "revoked"),
        [
            (
                one["name"],
                ", ".join(one["scopes"]),
                "all" if one["adapters"] is None else ", ".join(one["adapters"]),
                one.get("group") or "",
                _said(one),
                when(one["created"]),
                when(one["expires"]),
                when(one["revoked"]),
            )
            for one in found
        ],
    )


@app.command(cls=commands.Command)
def limit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    tokens_per_day: TokensPerDay = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Hold a key to these limits from now on, and to no others: without any, it has none."""
    from serve.client.registry import limit_key

    limits = _limits(requests_per_minute, tokens_per_minute, tokens_per_day)
    limited = limit_key(name, limits, url)
    if json:
        as_json(limited)
        return
    typer.echo(f"{name} may use {_said(limited)}")


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


_LIMITS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day")


def _limits(*most: int | None) -> dict[str, int | None]:
    return dict(zip(_LIMITS, most, strict=True))


def _said(key: dict[str, Any]) -> str:
    """A key's limits in words."""
    limits = [f"{key[name]} {name.replace('_per_', ' a ')}" for name in _LIMITS if key.get(name)]
    return ", ".join(limits) or "what it asks for"


def _create_here(
    name: str,
    scope: list[str],
    adapter: list[str] | None,
    expires: datetime | None,
    group: str | None,
    limits: dict[str, int | None],
    registry: Any,
    database: str | None,
    blobs: str | None,
) -> dict[str, Any]:
    from serve.cli.upkeep import opened
    from serve.registry.keys import SCOPES, Limits

    if unknown := set(scope) - set(SCOPES):
        raise UserError(f"{min(unknown)!r} is no scope; choose of {', '.join(SCOPES)}.")
    with opened(registry, database, blobs) as storage:
        scopes = [each for each in SCOPES if each in scope]
        secret = storage.keys.create(name, scopes, adapter, expires, group, Limits(**limits))
        return {"name": name, "secret": secret}
