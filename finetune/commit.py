"""Which state of this code is running."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The checkout's full commit, with `+` when the work tree differs; `unknown` outside a checkout."""
    result = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return result.stdout.strip() or "unknown"
