"""`serve up` and `serve chat`."""

import sys
from typing import Annotated, Any

import typer

from serve.cli.printing import Blobs, Database, Registry, Url
from serve.settings import Settings, ToolStrictLevel


def up(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8321,
    base: Annotated[
        str, typer.Option(help="A base that `finetune base` made, named as there.")
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
    max_inflight: Annotated[
        int, typer.Option(min=1, help="Requests answered at a time by one version, and by the base.")
    ] = Settings.max_inflight,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Requests that wait for one version, and for the base; then 429.")
    ] = Settings.max_queue,
    preload: Annotated[
        str, typer.Option(help="Adapters to load before the server serves: NAME[,NAME:ALIAS,NAME@NUMBER].")
    ] = "",
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
    request_seconds: Annotated[
        float, typer.Option(min=1, help="How long a chat may take.")
    ] = Settings.request_seconds,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="A web page's origin that may call from a browser; several go.")
    ] = None,
) -> None:
    """Start the server: vLLM with the base, the registry, and Chat Completions over both."""
    from serve import launch

    launch.up(
        host,
        port,
        base,
        max_loras,
        max_lora_rank,
        max_model_len,
        tool_strict_level,
        max_inflight,
        max_queue,
        preload,
        registry,
        database,
        blobs,
        request_seconds,
        tuple(cors_origin or ()),
    )


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
    from serve.client import chat as talk
    from serve.client import registry

    model = model or registry.base_name(url)
    if text is None and sys.stdin.isatty():
        typer.echo(f"Talking to {model}: a line is a message, Ctrl-D ends.", err=True)
    messages: list[dict[str, Any]] = []
    for line in [text] if text is not None else sys.stdin:
        messages.append({"role": "user", "content": line.strip()})
        messages.append({"role": "assistant", "content": talk.chat(messages, model, url)})
