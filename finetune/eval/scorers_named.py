"""The scorers that a suite can name: those of this project, and those that installed packages offer.

A package offers one as an entry point of the group `enxerto.scorers`; a suite can name nothing else, so that
reading a suite file runs no code of its writer's choice.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from data import strict_json
from data.errors import UserError
from data.report import Answer
from data.schemas import argument_problem, schema_problem
from finetune.eval import scorers_text
from finetune.eval.verdict import Score, Verdict

GROUP = "enxerto.scorers"
_JSON_SCHEMA = "json_schema"

Own = Callable[[list[dict[str, Any]], Answer, Answer], "float | Verdict | None"]
"""(messages, expected, got) to a score between 0 and 1, or None where the answer cannot be scored."""

Maker = Callable[[list[dict[str, Any]], Answer], Score]
"""(messages, expected) of a question to what scores its answers."""


def names() -> list[str]:
    """What can stand in a suite; a package cannot take the name of a scorer of this project."""
    return list(
        dict.fromkeys([*scorers_text.SCORERS, _JSON_SCHEMA, *sorted(entry_points(group=GROUP).names)])
    )


def maker(name: str, schema_file: Path | None = None) -> Maker:
    """The scorer that a suite names; UserError when its file or its package cannot be used."""
    if compare := scorers_text.SCORERS.get(name):
        return lambda messages, expected: _of_words(partial(compare, expected.content or ""))
    if name == _JSON_SCHEMA:
        assert schema_file is not None
        keeps = _of_words(partial(_keeps_to, _schema(schema_file)))
        return lambda messages, expected: keeps
    offers = list(entry_points(group=GROUP, name=name))
    if len(offers) > 1:
        raise UserError(
            f"scorer {name!r} is offered by {len(offers)} installed packages "
            f"({', '.join(sorted(point.value for point in offers))}); uninstall all but one."
        )
    [point] = offers
    try:
        own: Own = point.load()
    except Exception as error:
        raise UserError(
            f"scorer {name!r} ({point.value}) cannot be imported ({type(error).__name__}: {error}); "
            "mend or reinstall the package that offers it."
        ) from None
    return lambda messages, expected: _guarded(name, partial(own, messages, expected))


def _of_words(judge: Callable[[str], Verdict]) -> Score:
    def score(got: Answer, cut_off: bool) -> Verdict:
        flags = ("cut_off",) if cut_off else ()
        if not got.content:
            return Verdict(0.0, "called where words were expected" if got.calls else "said nothing", flags)
        return replace(judge(got.content), flags=flags)

    return score


def _guarded(name: str, own: Callable[[Answer], "float | Verdict | None"]) -> Score:
    """An error, or anything but a score, leaves the sample unscored: it says nothing of the answer."""

    def score(got: Answer, cut_off: bool) -> Verdict:
        try:
            told = own(got)
        except Exception as error:
            told = Verdict(None, f"scorer {name!r} failed ({type(error).__name__}: {error})")
        found = told if isinstance(told, Verdict) else Verdict(told, f"scorer {name!r}")
        if found.score is not None and not _is_score(found.score):
            found = Verdict(None, f"scorer {name!r} gave {found.score!r}, which is no number from 0 to 1")
        return replace(found, flags=(*found.flags, "cut_off")) if cut_off else found

    return score


def _schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); give a file with a JSON schema.") from None
    if not isinstance(schema, dict):
        raise UserError(f"{path} holds no JSON object; a schema is one, such as {{}} for any JSON.")
    if problem := schema_problem(schema):
        raise UserError(f"the contents of {path} {problem}; give a JSON schema.")
    return schema


def _keeps_to(schema: dict[str, Any], words: str) -> Verdict:
    """Whether the words are JSON, and nothing but JSON, that keeps to the schema."""
    try:
        value = strict_json.loads(words)
    except ValueError as error:
        return Verdict(0.0, f"is not JSON ({str(error)[:100]})")
    problem = argument_problem(schema, value)
    return Verdict(0.0, f"its values {problem}") if problem else Verdict(1.0, "JSON that keeps to the schema")


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1
