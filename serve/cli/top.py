"""`serve top`: a running server in the terminal, or one look at it."""

import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from data.errors import UserError, plain
from serve.cli.printing import Json, Url, as_json

if TYPE_CHECKING:
    from rich.table import Table

    from serve.client.metrics import Reading, Row

WINDOW_SECONDS = 60
"""What the moving view is over."""


def top(
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="One table of all since the server started.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Watch a server: per adapter requests, tokens, latency and errors of the last minute, until Ctrl-C."""
    from rich.console import Console

    from serve.client.connection import server_url
    from serve.client.metrics import reading, rows

    if json:
        now = reading(url)
        head = {"url": server_url(url), "base": now.base, "engine_up": now.engine_up, "slots": now.slots}
        as_json({**head, "seconds": now.uptime, "rows": [asdict(row) for row in rows(now)]})
    elif once:
        now = reading(url)
        Console().print(_table(now, rows(now), f"since it started {_age(now.uptime)} ago"))
    else:
        _live(every, url)


def _live(every: float, url: str | None) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from serve.client.metrics import reading, rows

    readings = deque([reading(url)])
    with Live(auto_refresh=False, screen=True) as live:
        try:
            while True:
                first, last = readings[0], readings[-1]
                seconds = last.at - first.at
                before = first if seconds else None
                period = f"last {seconds:.0f} s" if before else "since it started"
                view = _table(last, rows(last, before), period)
                live.update(view, refresh=True)
                time.sleep(every)
                try:
                    readings.append(reading(url))
                except UserError as error:
                    # It may come back: what was last seen stays, with the reason.
                    live.update(Group(view, Text(str(error), style="red")), refresh=True)
                    time.sleep(every)
                while readings[-1].at - readings[0].at > WINDOW_SECONDS:
                    readings.popleft()
        except KeyboardInterrupt:
            pass


def _table(now: "Reading", rows: "list[Row]", period: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    loaded = sum(1 for value in now.values.get("adapter_loaded", {}).values() if value)
    engine = "" if now.engine_up else " · ENGINE DOWN"
    title = f"{now.base} · {loaded} of {now.slots} slots · {period}{engine}"
    table = Table(box=None, pad_edge=False, title=Text(plain(title)), title_justify="left")
    for head in ("adapter", "version", "state"):
        table.add_column(head)
    for head in ("in flight", "req/s", "tok/s", "TTFT p50", "p95", "ITL p50", "errors"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            *(Text(plain(cell)) for cell in (row.adapter, row.version, row.state)),
            str(row.in_flight),
            f"{row.requests_rate:.2f}",
            f"{row.tokens_rate:.1f}",
            *map(_milliseconds, (row.ttft_p50, row.ttft_p95, row.itl_p50)),
            str(row.errors),
        )
    return table


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
