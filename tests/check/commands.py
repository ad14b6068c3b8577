"""Command lines as documents and messages show them, and the real parsers that they must pass."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).parents[2]
PROGRAMS = ("finetune", "serve", "make")
HOLE = "1"
"""For what an f-string puts in: it may be a name, a path or a number."""

_BLOCK = re.compile(r"```(?:sh|console|bash)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


def in_blocks(text: str) -> list[str]:
    """Lines of a Markdown text's code blocks in a shell's language, joined where they go on."""
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in map(_bare, lines) if _is_command(line)]


def in_sentences(text: str) -> list[str]:
    """What stands in `backticks` in a Markdown text."""
    return [line for line in map(_bare, _INLINE.findall(_BLOCK.sub("", text))) if _is_command(line)]


def of_source(path: Path) -> list[str]:
    """What a program tells people to type: in `backticks` within its strings and docstrings."""
    found = []
    for text in _strings(ast.parse(path.read_text(encoding="utf-8"))):
        found += [line for line in map(_bare, _INLINE.findall(text)) if _is_command(line)]
    return found


def check(line: str, typed: bool = True) -> None:
    """Have the program's own parser take the whole line; an error of its own where it would not.

    Where it is not `typed` but spoken of, a verb alone or with names of options, as in `serve up
    --registry`, has to be there, and no more.
    """
    words = _until_shell(shlex.split(line, comments=True))
    program = words[0].removeprefix(".venv/bin/")
    if program == "make":
        _made(words[1:])
        return
    command: Any = typer.main.get_command(_app(program))
    if not typed and _only_named(command, words[1:]):
        return
    context, rest = command.make_context(program, list(words[1:])), words[1:]
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def _only_named(command: Any, words: list[str]) -> bool:
    """Whether these are a verb of the program and options of it, without anything that they are given."""
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return set(words) <= {name for option in command.params for name in option.opts} | {"--help"}


def _until_shell(words: list[str]) -> list[str]:
    """What the program gets: neither a pipe nor what comes behind it."""
    end = next((at for at, word in enumerate(words) if word in ("|", "||", "&&", ";", ">", ">>")), None)
    return words[:end]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", _makefile(), re.MULTILINE))


def _made(words: list[str]) -> None:
    known = set(re.findall(r"^([A-Z]+)\s*\?=|\$\((?:if \$\()?([A-Z]+)\)", _makefile(), re.MULTILINE))
    variables = {name for pair in known for name in pair if name}
    for word in words:
        name, is_set, _ = word.partition("=")
        if is_set:
            assert name in variables, f"make knows no {name}"
        else:
            assert name in targets(), f"make has no target {name}"


def _makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def _app(program: str) -> Any:
    if program == "finetune":
        from finetune.cli import app
    else:
        from serve.cli import app
    return app


def _bare(line: str) -> str:
    """Without a prompt, the folder of the environment, what is set for it alone, and a background's sign."""
    line = re.sub(r"^(\$ |[A-Z_]+=\S+ )+", "", line.strip())
    return line.removeprefix(".venv/bin/").removesuffix(" &").strip()


def _is_command(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] in PROGRAMS and re.fullmatch(r"[a-z-]+|--\S+", words[1]) is not None


def _strings(tree: ast.AST) -> Iterator[str]:
    """The strings of a program, those with holes whole."""
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(value.value) if isinstance(value, ast.Constant) else HOLE for value in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value
