import os
import subprocess
import sys

BY_ITSELF = "from data.cores import share_cores; share_cores()"
AS_PROGRAM = """
from data import commands
app = commands.program("A program.")
app.command("nothing")(lambda: None)
try:
    commands.run(app)
except SystemExit:
    pass
"""


def spins(code: str, **given: str) -> str:
    """What is set after `code`, and whether torch, which reads it as it is loaded, is loaded by then."""
    show = "\nimport os, sys; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | given
    command = [sys.executable, "-c", code + show, "nothing"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_threads_spin_briefly_unless_somebody_says_how_long() -> None:
    assert spins(BY_ITSELF) == "3000 False\n"
    assert spins(BY_ITSELF, GOMP_SPINCOUNT="7") == "7 False\n"


def test_the_programs_set_it_before_torch_is_loaded() -> None:
    assert spins(AS_PROGRAM) == "3000 False\n"
