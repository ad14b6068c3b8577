"""BFCL's questions as chat completions: OpenAI's tools in, possible answers beside them."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.chat import Function, Tool
from data.errors import UserError
from data.report import Answer, Call
from finetune.eval import scorers
from finetune.eval.bfcl_data import Category, answers_file, questions_file
from finetune.eval.question import Question
from finetune.eval.scorers_bfcl import Possible

_TYPES = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "any": "string",
    "string": "string",
    "integer": "integer",
    "boolean": "boolean",
    "array": "array",
}


def questions(task: str, category: Category) -> list[Question]:
    """All questions of a category, in the file's order."""
    answers = answers_file(category)
    truths = {row["id"]: row["ground_truth"] for row in _rows(answers)} if answers else {}
    return [_question(task, category, row, truths.get(row["id"])) for row in _rows(questions_file(category))]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete its folder to download it again.") from None


def _question(
    task: str, category: Category, row: dict[str, Any], truth: list[dict[str, Any]] | None
) -> Question:
    functions = row["function"]
    tools = [tool(function) for function in functions]
    if category.endswith("_relevance"):
        expected, score = Answer(content="(any call)"), scorers.any_call
    else:
        calls = possible(functions, truth or [])
        expected = Answer(calls=list(map(_example, calls))) if calls else Answer(content="(no call)")
        score = partial(scorers.possible_calls, calls, tools=tools)
    return Question(
        task=task,
        kind="tools",
        id=row["id"],
        category=category,
        messages=row["question"][0],
        tools=tools,
        expected=expected,
        score=lambda got, cut_off: score(got, cut_off=cut_off),
    )


def possible(functions: list[dict[str, Any]], truth: list[dict[str, Any]]) -> list[Possible]:
    """The expected calls, with what the functions declare."""
    declared = {function["name"]: function["parameters"] for function in functions}
    return [
        Possible(_name(name), arguments, declared[name]["properties"], declared[name].get("required", []))
        for call in truth
        for name, arguments in call.items()
    ]


def tool(function: dict[str, Any]) -> Tool:
    """OpenAI's form, as BFCL's own `convert_to_tool` writes it, but converted at every depth."""
    parameters = _schema(function["parameters"])
    return Tool(
        function=Function(
            name=_name(function["name"]), description=function.get("description"), parameters=parameters
        )
    )


def _name(name: str) -> str:
    # OpenAI's names hold letters, digits, - and _ alone.
    return name.replace(".", "_")


def _schema(declared: dict[str, Any]) -> dict[str, Any]:
    schema = {**declared, "type": _TYPES.get(declared.get("type", "string"), "string")}
    if declared.get("type") == "float":
        # A schema's numbers are one type; this is how BFCL tells models which ones are floats.
        schema |= {"format": "float", "description": declared.get("description", "") + _FLOAT}
    if isinstance(properties := declared.get("properties"), dict):
        schema["properties"] = {name: _schema(one) for name, one in properties.items()}
    if isinstance(items := declared.get("items"), dict):
        schema["items"] = _schema(items)
    return schema


_FLOAT = " This is a float type value."


def _example(call: Possible) -> Call:
    """One right call, for people: the first possible values, without what may be left out."""
    arguments = _first_values(call.arguments, call.required)
    return Call(name=call.name, arguments=json.dumps(arguments, ensure_ascii=False))


def _first_values(options: dict[str, list[Any]], required: Sequence[str] = ()) -> dict[str, Any]:
    return {
        name: _first(next((value for value in possible if value != ""), ""))
        for name, possible in options.items()
        if name in required or (possible and "" not in possible)
    }


def _first(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(possible, list) for possible in value.values()):
        return _first_values(value)
    return [_first(item) for item in value] if isinstance(value, list) else value
