"""`serve up` and `serve logs`."""

from typing import Annotated

import typer

from serve.cli.printing import Blobs, Database, Registry
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
    log_to: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Where the log goes, - for standard output; else where `serve logs` looks."
        ),
    ] = None,
    max_connections: Annotated[
        int, typer.Option(min=1, help="Connections with a request under way; those that wait give way.")
    ] = Settings.max_connections,
    max_connections_per_address: Annotated[
        int, typer.Option(min=1, help="Of these from one address, which a proxy in front is too.")
    ] = Settings.max_connections_per_address,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="How long answers may go on once the server is told to stop.")
    ] = Settings.drain_seconds,
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
        log_to,
        max_connections,
        max_connections_per_address,
        drain_seconds,
    )


def logs(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The server's port.")] = 8321,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option(min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show the log that a server on this machine writes."""
    from serve import log_file

    try:
        for text in log_file.lines_of(port, lines, follow):
            typer.echo(text, nl=False)
    except KeyboardInterrupt:
        typer.echo()
