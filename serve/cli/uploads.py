"""`serve uploads`: what was begun and not finished."""

from typing import Annotated

import typer

from data import commands
from serve.cli.printing import Json, Url, as_json, say, table, when

app = commands.group("Uploads under way: list and end them.")


@app.command(cls=commands.Command)
def ls(url: Url = None, json: Json = False) -> None:
    """List the uploads that nobody finished yet."""
    from serve.client.registry import uploads

    found = uploads(url)
    if json:
        as_json(found)
        return
    table(
        ("upload", "adapter", "by", "touched"),
        [(one["upload"], one["adapter"], one["by"], when(one["touched"])) for one in found],
    )


@app.command(cls=commands.Command)
def rm(
    upload: Annotated[str, typer.Argument(metavar="UPLOAD", help="Its id, as `serve uploads ls` shows it.")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Give an upload up: what came of it is deleted."""
    from serve.client.registry import end_upload

    ended = end_upload(upload, url)
    if json:
        as_json(ended)
        return
    say(f"upload {ended['upload']} is ended")
