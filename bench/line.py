"""The commands that a person would type, and a server for as long as they need one."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from bench.parent import die_with_parent
from bench.ready import wait_until_ready

START_LIMIT = 600

console = Console(highlight=False)


@contextmanager
def server(base: str, *options: str) -> Iterator[str]:
    """A running server on a free port; it ends with the block, and with this process however that ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["up", "--base", base, "--port", str(port), *options]
    console.print(f"[dim]$ serve {' '.join(arguments)} &[/dim]")
    process = subprocess.Popen([sys.executable, "-m", "serve", *arguments], preexec_fn=die_with_parent)
    try:
        wait_until_ready(process, url, START_LIMIT)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def typed(program: str, *arguments: str) -> None:
    """Run the command as it is shown; where it fails this process ends with its exit code."""
    console.print(f"[dim]$ {program} {' '.join(arguments)}[/dim]")
    code = subprocess.run([sys.executable, "-m", program, *arguments], check=False).returncode
    if code:
        raise SystemExit(code)
