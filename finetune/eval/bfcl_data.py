"""BFCL's own files, out of the `bfcl-eval` wheel (Apache-2.0): fetched when first asked for, never installed.

Its 32 dependencies, many vendors' clients among them, would fill an environment; neither the data nor the
checker needs one of them.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Literal

from data.errors import UserError
from data.home import home
from finetune.resources import resource

LOCK = resource("bfcl.txt")

Category = Literal[
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
    "live_relevance",
]


def package() -> Path:
    """The folder that holds `bfcl_eval`; UserError when the package index cannot be reached.

    pip compares the wheel with the digest in `bfcl.txt`, so the questions are always the same.
    """
    version = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = home() / "wheels" / f"bfcl-eval-{version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            wheel = _download(Path(work))
            stage = Path(work) / "unpacked"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(stage)
            try:
                stage.rename(folder)
            except OSError:
                # Another process was faster; the files are the same.
                if not folder.is_dir():
                    raise
    return folder


def _download(into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(LOCK)]
    done = subprocess.run([*command, *wanted, "--dest", str(into)], capture_output=True, text=True)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        told = (errors or ["no reason given"])[-1].removeprefix("ERROR: ")[:200]
        raise UserError(
            f"BFCL's data cannot be downloaded ({told}); pip must reach a package index, or set "
            f"PIP_FIND_LINKS to a folder with the wheel of {_pinned()}."
        )
    [wheel] = into.glob("*.whl")
    return wheel


def _pinned() -> str:
    """`bfcl-eval==<version>`, as the lock file has it."""
    last = LOCK.read_text(encoding="utf-8").splitlines()[-1]
    return last.partition(" ")[0]


def questions_file(category: Category) -> Path:
    return package() / "bfcl_eval" / "data" / f"BFCL_v4_{category}.json"


def answers_file(category: Category) -> Path | None:
    """None for the categories that ask only whether a function is called at all."""
    path = package() / "bfcl_eval" / "data" / "possible_answer" / f"BFCL_v4_{category}.json"
    return path if path.is_file() else None
