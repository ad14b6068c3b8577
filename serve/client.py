"""What the command line says to a server, over the same HTTP that anyone else would use."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import stamina
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES
from serve.registry.records import checked_name

DEFAULT_URL = "http://127.0.0.1:8321"
BLOCK_BYTES = 2**18
ATTEMPTS = 4

_PASSING = {429, 502, 503, 504}
"""Answers that say: not now. Anything else stays wrong however often it is asked."""

_TIMEOUT = httpx.Timeout(30, read=600)
"""Seconds. A commit is answered once the engine has loaded the adapter, which waits for its turn."""


def server_url(url: str | None = None) -> str:
    """The server to talk to: as given, else `$ENXERTO_URL`, else this machine."""
    return (url or os.environ.get("ENXERTO_URL") or DEFAULT_URL).rstrip("/")


def push(folder: Path, name: str, aliases: list[str], url: str | None = None) -> dict[str, Any]:
    """Upload an adapter and wait until it answers; what the server says of the version.

    Begun again from the start when the connection fails: what arrived is not sent twice, and the same
    files are the same version.
    """
    checked_name(name)
    files = _files(folder)
    answer: dict[str, Any] = {}
    with _client(url) as client:
        for attempt in _attempts():
            with attempt:
                answer = _push_once(client, folder, name, aliases, files)
    return answer


def adapters(url: str | None = None) -> list[dict[str, Any]]:
    """Every adapter of the server."""
    found: list[dict[str, Any]] = _ask("GET", "/v1/adapters", url)["data"]
    return found


def adapter(name: str, url: str | None = None) -> dict[str, Any]:
    """One adapter with its versions, aliases and history."""
    return _ask("GET", f"/v1/adapters/{checked_name(name)}", url)


def base_name(url: str | None = None) -> str:
    """The name of the server's base."""
    return str(_ask("GET", "/health", url)["base"])


def set_alias(
    name: str, alias: str, version: int, expected: int | None, url: str | None = None
) -> dict[str, Any]:
    """Point an alias to a version, if it still points to `expected` (None: to nothing)."""
    body = {"version": version, "expected": expected}
    return _ask("PUT", f"/v1/adapters/{checked_name(name)}/aliases/{checked_name(alias, 'alias')}", url, body)


def promote(name: str, version: int, alias: str, url: str | None = None) -> dict[str, Any]:
    """Point an alias to a version, unless somebody else moves it meanwhile."""
    return set_alias(name, alias, version, adapter(name, url)["aliases"].get(alias), url)


def rollback(name: str, alias: str, url: str | None = None) -> dict[str, Any]:
    """Point an alias to where it was before its last move; a second rollback undoes the first."""
    moves = [move for move in adapter(name, url)["history"] if move["alias"] == alias]
    if not moves or moves[-1]["previous"] is None:
        raise UserError(
            f"alias {alias!r} of adapter {name!r} has no previous version; choose one with `serve promote`."
        )
    return set_alias(name, alias, moves[-1]["previous"], moves[-1]["version"], url)


def chat(messages: list[dict[str, Any]], model: str, url: str | None = None) -> str:
    """Print an answer as it comes; the whole text. Calls of tools are printed as JSON, a line each."""
    body = {"model": model, "messages": messages, "stream": True}
    text = ""
    calls: dict[int, dict[str, str]] = {}
    with (
        _client(url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        if response.is_error:
            response.read()
        _require_success(response)
        for delta in _deltas(response):
            if piece := delta.get("content"):
                text += piece
                sys.stdout.write(piece)
                sys.stdout.flush()
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"name": "", "arguments": ""})
                for field in call:
                    call[field] += part["function"].get(field) or ""
    sys.stdout.write("".join(f"\n{json.dumps(call)}" for call in calls.values()) + "\n")
    return text


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """Digest and size of each file to push; UserError when the folder is no adapter."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give the folder that training wrote.")
    if missing := [name for name in ADAPTER_FILES if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} is no adapter: it has no {', no '.join(missing)}; give the folder that training wrote."
        )
    return {
        name: {"sha256": digest.of_file(folder / name), "size": (folder / name).stat().st_size}
        for name in ADAPTER_FILES
    }


def _push_once(
    client: httpx.Client, folder: Path, name: str, aliases: list[str], files: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    announced = client.post(f"/v1/adapters/{name}/uploads", json={"files": files, "aliases": aliases})
    upload = _json(announced)
    missing = upload["missing"]
    with _progress() as progress:
        task = progress.add_task(f"pushing {name}", total=sum(files[file]["size"] for file in missing))
        for file in missing:
            size = str(files[file]["size"])
            blocks = _blocks(folder / file, progress, task)
            sent = client.put(
                f"/v1/uploads/{upload['upload']}/{file}", content=blocks, headers={"content-length": size}
            )
            _require_success(sent)
        progress.update(task, description=f"loading {name}")
        return _json(client.post(f"/v1/uploads/{upload['upload']}/commit"))


def _progress() -> Progress:
    """On standard error, so that standard output stays the answer."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _blocks(path: Path, progress: Progress, task: Any) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
            progress.advance(task, len(block))


def _deltas(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The pieces of a streamed answer (server-sent events, ended by `[DONE]`)."""
    for line in response.iter_lines():
        data = line.removeprefix("data: ")
        if data == line or data == "[DONE]":
            continue
        event = json.loads(data)
        if error := event.get("error"):
            raise UserError(error["message"])
        for choice in event["choices"]:
            yield choice["delta"]


def _ask(method: str, path: str, url: str | None, body: Any = None) -> dict[str, Any]:
    """One small request, repeated while the server is only busy: all of these may be said twice."""
    answer: dict[str, Any] = {}
    with _client(url) as client:
        for attempt in _attempts():
            with attempt:
                answer = _json(client.request(method, path, json=body))
    return answer


def _attempts() -> Iterator[stamina.Attempt]:
    """Turns at something that may fail in passing; each but the first is announced on standard error."""
    stamina.instrumentation.set_on_retry_hooks([_announce])
    return iter(stamina.retry_context(on=_is_passing, attempts=ATTEMPTS, wait_initial=0.2))


def _announce(details: stamina.instrumentation.RetryDetails) -> None:
    sys.stderr.write(f"{details.caused_by}; trying again in {details.wait_for:.1f} s\n")


def _is_passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    return isinstance(error, (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError))


@contextmanager
def _client(url: str | None) -> Iterator[httpx.Client]:
    """A connection to the server, whose failures are one sentence each."""
    chosen = server_url(url)
    try:
        with httpx.Client(base_url=chosen, timeout=_TIMEOUT) as client:
            yield client
    except httpx.HTTPStatusError as error:
        raise UserError(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UserError(
            f"no answer from {chosen} ({error}); start it with `serve up`, or name another with --url."
        ) from None


def _json(response: httpx.Response) -> dict[str, Any]:
    _require_success(response)
    try:
        answer: dict[str, Any] = response.json()
    except ValueError:
        raise UserError(f"{response.url} did not answer in JSON; is that an Enxerto server?") from None
    return answer


def _require_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise httpx.HTTPStatusError(_message(response), request=response.request, response=response)


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code}; is that an Enxerto server?"
