"""`serve usage`: who used how much of what."""

from typing import Annotated

import typer

from serve.cli.printing import Json, Url, as_json, table


def usage(
    days: Annotated[int, typer.Option(min=1, max=366, help="Today and the days before it, in UTC.")] = 30,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show requests and tokens by day, key and adapter: of all keys to an admin's, else of one's own."""
    from serve.client.registry import usage as ask

    found = ask(days, url)
    if json:
        as_json(found)
        return
    numbers = ("requests", "prompt_tokens", "completion_tokens")
    table(
        ("day", "key", "adapter", "requests", "tokens in", "tokens out"),
        [
            (one["day"], one["key"], one["adapter"] or "(base)", *(str(one[name]) for name in numbers))
            for one in found
        ],
    )
