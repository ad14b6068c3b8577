"""`serve`: the server and its registry on the command line. Heavy imports wait for their command."""

import sys

import typer

from data.errors import UserError
from serve.cli import doctor, gate, keys, registry, server, top, upkeep

app = typer.Typer(
    help="Serve LoRA adapters from one AWQ base, and manage their versions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    server.up,
    registry.push,
    registry.pull,
    registry.ls,
    registry.show,
    registry.promote,
    registry.rollback,
    gate.gate,
    registry.pin,
    registry.rm,
    server.chat,
    doctor.doctor,
    top.top,
    upkeep.gc,
    upkeep.fsck,
    upkeep.export,
    upkeep.import_,
):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The console script: a UserError is one line on standard error and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
