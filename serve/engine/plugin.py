"""What runs in every vLLM process of this environment, named by the `vllm.*_plugins` entry points."""

import os
import select
import signal
import threading
from contextlib import suppress

from serve import log_file

SERVER = "ENXERTO_SERVER_PID"
"""The environment variable in which a server tells the processes under it whom they serve."""


def install_operators() -> None:
    """A general plugin: vLLM calls it once in each of its processes, before it builds a model."""
    from serve.engine import cpu_awq, cpu_lora, numbers

    cpu_awq.install()
    cpu_lora.install()
    numbers.install()


def follow_server() -> None:
    """In a process under a server: leave Ctrl-C to the server, follow its log, and die when it dies.

    The server lets its streams end before it stops the engine. And a killed server must not leave its
    engine behind, holding memory and cores: vLLM's engine does not watch for that. It is named as a
    platform plugin, and offers no platform, because vLLM calls those first of all, while it is imported:
    a general plugin comes after the engine has waited for a server that may be dead.
    """
    server = int(os.environ.get(SERVER, os.getpid()))
    if server != os.getpid():
        log_file.follow()
        os.setpgrp()
        threading.Thread(target=_die_with, args=(server,), daemon=True, name="die-with-server").start()


def _die_with(server: int) -> None:
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(server)], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
