"""What the command lines share: how help is set, `--version`, shell completion, and how a mistake ends."""

import errno
import io
import os
import platform
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from data.cores import share_cores
from data.errors import UserError, plain

NARROWEST = 10
"""Columns of a terminal that words fit in."""


class Command(TyperCommand):
    """A command whose help shows a type where a value is wanted, and its arguments as manual pages do."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [_as_flag(parameter) for parameter in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """NAME, [TEXT], SOURCE...; by itself Typer says {NAME}, [text], {SOURCE}..."""
        arguments = (each for each in self.get_params(ctx) if isinstance(each, TyperArgument))
        return [*([self.options_metavar] if self.options_metavar else []), *map(_usage, arguments)]


class Group(TyperGroup):
    """The same for a command of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [_as_flag(parameter) for parameter in super().get_params(ctx)]


def group(help: str) -> typer.Typer:
    """Return a group of commands; without one it prints its help."""
    return typer.Typer(cls=Group, help=help, no_args_is_help=True, pretty_exceptions_enable=False)


def program(help: str) -> typer.Typer:
    """Return a program of its own: a group that also knows its version and can complete words in shells."""
    app = group(help)

    @app.callback()
    def start(
        version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    return app


def run(app: typer.Typer) -> None:
    """Run a program: a person's mistake is one message on standard error and exit code 2."""
    _bear_the_terminal()
    share_cores()
    try:
        app()
    except UserError as error:
        # Parts of it may be a server's, or a file's; several mistakes are a line each.
        lines = [plain(line) for line in f"error: {error}".split("\n")]
        print("\n".join(lines), file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = error.filename or "where this writes to"
        print(f"error: no room is left at {where} ({error.strerror}); make some.", file=sys.stderr)
        # What is left of the output would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(2) from None


def _bear_the_terminal() -> None:
    """Let any character pass to any terminal, and take a width of no words for one that is not known.

    Some terminals and pipes (LANG=C, Windows) cannot show an arrow: it becomes `?`. Containers and editors
    set COLUMNS to 0 or 1, at which rich would print nothing at all.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < NARROWEST:
        del os.environ["COLUMNS"]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"enxerto {version('enxerto')}, Python {platform.python_version()}")
        raise typer.Exit


def _as_flag(parameter: Any) -> Any:
    """Take the type of an option that wants no value out of the help: `--strict <bool>` looks as if."""
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        parameter.metavar = ""
    return parameter


def _usage(argument: TyperArgument) -> str:
    name = argument.display_name_raw.removesuffix("...").upper()
    several = "..." if argument.nargs != 1 else ""
    return f"{name}{several}" if argument.required else f"[{name}{several}]"
