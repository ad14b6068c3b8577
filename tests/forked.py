"""`python -m finetune ...` in processes that need not import anything again.

A training imports for ten seconds of processor time and computes for one. One process does the imports, forks
for each command line, and each child runs the module as Python's `-m` does: its own arguments, environment,
output, session and exit. It forks before any tensor is computed, so that a child is as if started by hand.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

HEAVY = (
    "datasets",
    "peft",
    "transformers",
    "trl",
    "gguf",
    "setuptools",
    "torch.utils.cpp_extension",
    "mistral_common.tokens.tokenizers.mistral",
    "finetune.train",
    "finetune.training.trainer",
)
"""Not gptqmodel, but what it imports: it starts threads itself, which a fork would lose."""

Command = list[str]


class Child:
    """A command line under way, in a process group of its own."""

    def __init__(self, forge: "Forge", command: Command, output: Path, pid: int) -> None:
        self.pid = pid
        self._forge, self._command, self._output = forge, command, output

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Its exit code, or minus the signal that ended it, and what it printed."""
        code = self._forge.ask({"wait": self.pid})
        out, err = ((self._output / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(self._command, code, out, err)

    @property
    def alive(self) -> bool:
        """Whether it runs; one that is dead and not yet waited for does not."""
        state = Path(f"/proc/{self.pid}/stat")
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


class Forge:
    """The process that forks."""

    def __init__(self, process: "subprocess.Popen[str]", outputs: Path) -> None:
        self._process, self._outputs = process, outputs
        self._made = 0

    def start(self, module: str, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Child:
        command = [module, *map(str, arguments)]
        self._made += 1
        output = self._outputs / str(self._made)
        output.mkdir()
        told = {"command": command, "env": dict(env or os.environ), "cwd": str(Path.cwd())}
        return Child(self, command, output, self.ask(told | {"output": str(output)}))

    def run(
        self, module: str, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.start(module, *arguments, env=env).wait()

    def ask(self, told: dict[str, Any]) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def forging() -> Iterator[Forge]:
    """A forge, and an end for all that it forked."""
    with tempfile.TemporaryDirectory(prefix="enxerto-forge-", ignore_cleanup_errors=True) as outputs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(Path(outputs) / "log").open("w"),
            text=True,
            cwd=Path(__file__).parents[1],
            # Read when torch is imported; more threads would fight for two cores, and sum in other orders.
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        forge = Forge(process, Path(outputs))
        try:
            yield forge
        finally:
            process.kill()
            process.wait()


def _serve() -> None:
    from bench.parent import die_with_parent

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for name in HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the children would copy all of it to count references
    for line in sys.stdin:
        told = json.loads(line)
        if "wait" in told:
            _, status = os.waitpid(told["wait"], 0)
            print(os.waitstatus_to_exitcode(status), file=answers)
        elif child := os.fork():
            print(child, file=answers)
        else:
            answers.close()
            die_with_parent()
            _end(_code_of(told))


def _become(told: dict[str, Any]) -> None:
    """What a new process is before its first import, and then `-m`."""
    os.setsid()
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    for number, name, flags in (
        (0, "/dev/null", os.O_RDONLY),
        (1, f"{told['output']}/stdout", os.O_WRONLY | os.O_CREAT),
        (2, f"{told['output']}/stderr", os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(name, flags | os.O_APPEND * (number > 0), 0o600)
        os.dup2(opened, number)
        os.close(opened)
    # A person's terminal gives that; a shell's background job inherits an ignored one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, *arguments = told["command"]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _code_of(told: dict[str, Any]) -> int:
    """The exit code that Python would give."""
    try:
        _become(told)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """Python's own end but for the seconds in which it would take every module apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
