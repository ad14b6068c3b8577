"""`serve chat`: one answer, or a conversation."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.errors import UserError
from serve.cli.printing import Url, say

if TYPE_CHECKING:
    from serve.client.chat import Manner


def chat(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="An adapter, as NAME, NAME:ALIAS or NAME@NUMBER; `base` is the base."
        ),
    ],
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="What to say; without it a conversation, a line a message."),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="How long an answer may be.")] = 512,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is always the likeliest token; else the server's.")
    ] = None,
    url: Url = None,
) -> None:
    """Talk to an adapter, or to the base."""
    from serve.client import registry
    from serve.client.chat import Manner

    if any(sign.isspace() for sign in model):
        raise UserError(f"the model's name comes first, then what to say: serve chat base {model[:60]!r}.")
    if text is not None and not text.strip():
        raise UserError("there is nothing to say; leave TEXT out for a conversation.")
    model = registry.model_named(model, url)
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    manner = Manner(max_tokens, temperature)
    if text is None and sys.stdin.isatty():
        _converse(messages, model, url, manner)
        return
    for line in [text] if text is not None else sys.stdin:
        if line.strip():
            _say(messages, line.strip(), model, url, manner)


def _converse(messages: list[dict[str, Any]], model: str, url: str | None, manner: "Manner") -> None:
    """At a prompt: a mistake is said and the conversation goes on, Ctrl-C ends an answer, Ctrl-D all."""
    typer.echo(f"Talking to {model}: a line is a message, Ctrl-C stops an answer, Ctrl-D ends.", err=True)
    for line in _typed():
        before = list(messages)
        try:
            _say(messages, line, model, url, manner)
        except UserError as error:
            say(f"error: {error}", err=True)
            messages[:] = before
        except KeyboardInterrupt:
            typer.echo("\n(stopped; neither your message nor this answer is kept)", err=True)
            messages[:] = before


def _typed() -> Iterator[str]:
    """Lines from a prompt with the keys of a shell, arrow up for an earlier one; no blank ones."""
    import readline  # noqa: F401  `input` has those keys once it is imported

    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print()
            return
        if line:
            yield line


def _say(messages: list[dict[str, Any]], said: str, model: str, url: str | None, manner: "Manner") -> None:
    from serve.client import chat as talk

    messages.append({"role": "user", "content": said})
    messages.append({"role": "assistant", "content": talk.chat(messages, model, url, manner)})
