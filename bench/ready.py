"""Waiting for a server that was started as a process."""

import subprocess
import time
from pathlib import Path

import httpx

from data.errors import UserError


def wait_until_ready(
    process: subprocess.Popen[bytes], url: str, seconds: float, log: Path | None = None
) -> None:
    """Return once it answers; UserError, with the end of its log, where it ends before or takes too long."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if process.poll() is not None:
            said = f"the server ended with exit code {process.returncode} before it was ready"
            raise UserError(f"{said}{_end_of(log)}.")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise UserError(f"the server was not ready within {seconds:g} s; see its log{_end_of(log)}.")


def _end_of(log: Path | None) -> str:
    return f"; its log ends:\n{log.read_text()[-4000:]}" if log and log.is_file() else ""
