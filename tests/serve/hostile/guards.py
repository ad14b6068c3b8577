"""`python -m tests.serve.hostile.guards`: is there a test for each guard that uploads pass?

In a copy of the sources each guard is taken out alone (a `raise`, half of its condition, a limit of a field),
and the tests of uploads run until the first of them fails. A guard that no test misses makes the exit code 1.
"""

import argparse
import ast
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

SOURCES = (
    "serve/limits.py",
    "serve/registry/header.py",
    "serve/registry/lora_config.py",
    "serve/registry/staging.py",
    "serve/registry/strict_json.py",
    "serve/registry/validate.py",
    "serve/registry/values.py",
    "serve/routes/uploads.py",
)
TESTS = (
    "tests/serve/test_validate.py",
    "tests/serve/hostile/test_cases.py",
    "tests/serve/hostile/test_taken.py",
    "tests/serve/test_adapter_routes.py",
    "tests/serve/test_uploads.py",
    "tests/serve/test_registry.py",
    "tests/serve/hostile/test_memory.py",
)
PEFT = "tests/serve/test_validate.py::test_the_config_that_peft_writes_passes"
"""It imports PEFT, which takes 10 s, and no guard is for it."""

OPTIONS = ("-p", "no:cacheprovider", "--timeout", "60", "-m", "not slow", "--deselect", PEFT)

LIMITS = {"ge", "gt", "le", "lt", "min_length", "max_length", "extra", "strict", "parse_constant"}

FORK = multiprocessing.get_context("fork")

console = Console(highlight=False)


class Weakened(NamedTuple):
    """A source without one of its guards, which stood at `line`."""

    line: int
    guard: str
    source: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="*", default=SOURCES, help="files whose guards are taken out")
    given = parser.parse_args()
    root = Path(__file__).parents[3]
    sys.dont_write_bytecode = True  # a changed source may be as old and as long as the one before it
    _import_libraries()
    unnoticed = count = 0
    with tempfile.TemporaryDirectory(prefix="enxerto-guards-") as folder:
        for part in ("data", "serve", "tests", "pyproject.toml"):
            if (root / part).is_dir():
                shutil.copytree(
                    root / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(root / part, Path(folder) / part)
        if test := _first_failure(folder):
            raise SystemExit(f"{test} fails with every guard in its place")
        for source in given.sources:
            path = Path(folder) / source
            text = path.read_text(encoding="utf-8")
            for weakened in without_each(text):
                path.write_text(weakened.source, encoding="utf-8")
                began = time.monotonic()
                test = _first_failure(folder)
                count += 1
                unnoticed += test is None
                place, seconds = f"{source}:{weakened.line}", time.monotonic() - began
                told = f"{place:<36}{weakened.guard[:60]:<62}{seconds:3.0f} s  {test or 'NO TEST FAILS'}"
                console.print(told, markup=False, soft_wrap=True)
            path.write_text(text, encoding="utf-8")
    console.print(f"{count} guards, {unnoticed} of them without a test")
    raise SystemExit(1 if unnoticed else 0)


def without_each(text: str) -> Iterator[Weakened]:
    """The source without its first guard, without its second one, and so on."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for _, parts in ast.iter_fields(node):
            if isinstance(parts, list):
                for place, part in enumerate(parts):
                    if isinstance(part, ast.Raise) and part.exc:
                        parts[place] = ast.Raise() if isinstance(node, ast.ExceptHandler) else ast.Pass()
                        yield _weakened(part, tree)
                        parts[place] = part
                    elif isinstance(part, ast.keyword) and part.arg in LIMITS:
                        del parts[place]
                        yield _weakened(part, tree)
                        parts.insert(place, part)
        if isinstance(node, ast.If) and any(isinstance(step, ast.Raise) for step in node.body):
            yield from _without_halves(node.test, tree)


def _without_halves(test: ast.expr, tree: ast.AST) -> Iterator[Weakened]:
    """Of a condition: without each part of an `and` or `or`, and without each end of a range."""
    for node in ast.walk(test):
        if isinstance(node, ast.BoolOp):
            for place, part in enumerate(node.values):
                del node.values[place]
                yield _weakened(part, tree)
                node.values.insert(place, part)
        elif isinstance(node, ast.Compare) and len(node.ops) == 2:
            whole = node.left, node.ops, node.comparators
            lower = ast.Compare(node.left, node.ops[:1], node.comparators[:1], lineno=node.lineno)
            upper = ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:], lineno=node.lineno)
            for gone, kept in ((upper, lower), (lower, upper)):
                node.left, node.ops, node.comparators = kept.left, kept.ops, kept.comparators
                yield _weakened(gone, tree)
                node.left, node.ops, node.comparators = whole


def _weakened(guard: ast.AST, tree: ast.AST) -> Weakened:
    return Weakened(getattr(guard, "lineno", 0), ast.unparse(guard), ast.unparse(tree))


class _First:
    """A plugin of pytest's that remembers the first test, or file of tests, that fails."""

    failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


def _first_failure(folder: str) -> str | None:
    """The first of the tests that fails on the sources in `folder`.

    In a fork of this process, where all libraries are imported: that takes longer than the tests.
    """
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=_run, args=(folder, theirs))
    process.start()
    theirs.close()
    try:
        failed: str | None = ours.recv()
    except EOFError:
        failed = "a test that ended them all"
    process.join()
    return failed


def _run(folder: str, answer: Connection) -> None:
    os.chdir(folder)
    os.environ["PYTHONPATH"] = folder
    sys.path.insert(0, folder)
    first = _First()
    status = _pytest("-x", plugins=[first])
    answer.send(first.failed or (f"pytest exits with {status}" if status else None))


def _pytest(*options: str, plugins: Sequence[object] = ()) -> int:
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return int(pytest.main([*OPTIONS, *options, *TESTS], plugins))


def _import_libraries() -> None:
    """Import what the tests do, and forget what is the copies' own."""
    _pytest("--collect-only")
    for module in [name for name in sys.modules if name.partition(".")[0] in ("data", "serve", "tests")]:
        del sys.modules[module]


if __name__ == "__main__":
    main()
