"""How a measurement ends when a person, or a mistake, stops it."""

from collections.abc import Callable

from rich.console import Console

from data.errors import UserError


def run(main: Callable[[], None], console: Console, interrupted: str = "interrupted") -> None:
    """`main`; a mistake is one message and exit code 2, Ctrl-C says `interrupted` and exits with 130."""
    try:
        main()
    except UserError as error:
        console.print(f"error: {error}", markup=False)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        console.print(interrupted)
        raise SystemExit(130) from None
