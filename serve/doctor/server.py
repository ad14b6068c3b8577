"""The address to listen on, the key that this user's commands send, and the server that may run already."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve.doctor.finding import Finding, ok, problem, warning

ANSWER_SECONDS = 3


def findings(health: dict[str, Any] | None, host: str, port: int, file: Path) -> Iterator[Finding]:
    """`file` is where the key of this registry lies."""
    yield _running(health, host, port) if health else _port(host, port)
    yield _key(file)


def health_of(host: str, port: int) -> dict[str, Any] | None:
    """What an Enxerto server there says of itself; None where there is none."""
    import httpx

    shown = f"[{host}]" if ":" in host else host
    try:
        told = httpx.get(f"http://{shown}:{port}/health", timeout=ANSWER_SECONDS).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    known = isinstance(told, dict) and ("fingerprint" in told or "error" in told)
    return told if known else None


def _running(health: dict[str, Any], host: str, port: int) -> Finding:
    if "error" in health:
        return problem(
            "server", f"One runs at {host}:{port} and is not well: {health['error'].get('message')}"
        )
    return ok("server", f"One runs at {host}:{port}, with base {health.get('base')}.")


def _port(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return problem("port", f"Something else listens at {host}:{port}; choose another --port.")
            return problem("port", f"Nobody can listen at {host}:{port}: {error.strerror}.")
    return ok("port", f"{host}:{port} is free; no server runs there.")


def _key(file: Path) -> Finding:
    if os.environ.get("ENXERTO_API_KEY"):
        return ok("key", "This user's commands send $ENXERTO_API_KEY.")
    if not file.is_file():
        return ok("key", f"No key yet; the first `serve up` on a new registry makes {file}.")
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        return warning("key", f"{file} can be read by others; `chmod 600` it, or make another key.")
    return ok("key", f"This user's commands send the one in {file}.")
