"""Probes of an adapter that came without: computed by `finetune probe`, in a process of the lowest priority.

Serving and training meet in files and processes alone, so this side knows the command and not the code.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from data.errors import UserError, shown

_ONE_AT_A_TIME = threading.Lock()
_NEEDED = ("finetune", "torch", "transformers", "peft")
_LOWEST = 19


def compute(adapter: Path, base: Path, out: Path, seconds: float, gpu: bool = False) -> None:
    """Write `probes.json` of `adapter` on `base` to `out`; UserError where that cannot be, or takes longer.

    Without `gpu` it stays on a quarter of the CPU, where a server answers chats.
    """
    if absent := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError(f"probes need training installed, and {', '.join(absent)} is not here.")
    if not _ONE_AT_A_TIME.acquire(timeout=seconds):
        raise UserError(f"other adapters' probes were still computed after {seconds:g} s.")
    try:
        _run(adapter, base, out, seconds, gpu)
    finally:
        _ONE_AT_A_TIME.release()


def _run(adapter: Path, base: Path, out: Path, seconds: float, gpu: bool) -> None:
    command = [
        sys.executable,
        "-m",
        "finetune",
        "probe",
        str(adapter),
        "--base",
        str(base),
        "--out",
        str(out),
    ]
    threads = str(max(1, (os.cpu_count() or 1) // 4))
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if not gpu:
        # The engine has the GPU's memory, and its streams the CPU.
        environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise UserError(f"its probes could not be computed ({error}).") from None
    with child:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, child.pid, _LOWEST)
        try:
            _, errors = child.communicate(timeout=seconds)
        except BaseException as error:
            child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise UserError(f"its probes were not computed within {seconds:g} s.") from None
            raise
    if child.returncode or not out.is_file():
        lines = [line for line in errors.splitlines() if line.strip()]
        said = lines[-1].removeprefix("error: ").rstrip(".") if lines else f"exit code {child.returncode}"
        raise UserError(f"its probes could not be computed ({shown(said, 300)}).")
