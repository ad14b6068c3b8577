"""What runs in every vLLM process of this environment, named by the `vllm.*_plugins` entry points."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess


def install_operators() -> None:
    """A general plugin: vLLM calls it once in each of its processes, before it builds a model."""
    from serve.engine import cpu_lora

    cpu_lora.install()


def follow_parent() -> None:
    """In a process that another one started: leave Ctrl-C to that one, and die when it dies.

    The server lets its streams end before it stops the engine. And a killed server must not leave its
    engine behind, holding memory and cores: vLLM's engine does not watch for that. It is named as a
    platform plugin, and offers no platform, because vLLM calls those first of all, while it is imported:
    a general plugin comes after the engine has waited for a server that may be dead.
    """
    if parent := multiprocessing.parent_process():
        os.setpgrp()
        threading.Thread(target=_die_with, args=(parent,), daemon=True, name="die-with-parent").start()


def _die_with(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
