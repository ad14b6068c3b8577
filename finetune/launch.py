"""`--processes N`: the same command once more under `accelerate launch`, N times side by side."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal


def launched(verb: Literal["train", "resume"], recipe: Path, processes: int, restart: bool = False) -> bool:
    """Run `finetune VERB RECIPE` in `processes` processes; False where this process is to do it itself.

    SystemExit with the launcher's code when one of them failed.
    """
    if processes == 1 or "WORLD_SIZE" in os.environ:
        return False
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    command += ["--num_processes", str(processes), "--main_process_port", "0", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no"]
    command += ["--num_cpu_threads_per_process", str(max(1, (os.cpu_count() or 1) // processes))]
    command += ["-m", "finetune", verb, str(recipe), *(["--restart"] if restart else [])]
    code = subprocess.run(command, check=False).returncode
    if code:
        raise SystemExit(code)
    return True
