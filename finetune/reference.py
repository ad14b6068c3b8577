"""`python -m finetune.reference > docs/recipe.md`: every key of every file that a person writes.

Made from the models that read the files, so it says what they take; `tests/check` holds the page to it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data.mistakes import models_in
from data.policy import Policy
from finetune.eval.suite import Suite
from finetune.other_trainers import OTHERWISE, SAME
from finetune.recipe import Recipe

_HEAD = """# Every key of a recipe, a suite and a gate policy

Files are YAML; an unknown key is refused with the nearest name. Relative paths are looked for in the working
folder, then beside the file and in the folders above it up to the project's own; `~` is opened.
`make docs-reference` makes this page.
"""

_OTHERS = """## Keys of other trainers

What axolotl, LLaMA-Factory, TRL, PEFT, Unsloth, ms-swift and torchtune say, and where it stands in a recipe.
"""

_DOCUMENTS: list[tuple[str, str, type[BaseModel]]] = [
    ("Recipe", "`finetune train RECIPE`; examples lie in `recipes/`.", Recipe),
    ("Suite", "`finetune eval SUITE`; examples lie in `recipes/evals/`.", Suite),
    ("Gate policy", "`serve gate NAME --policy FILE`; an example lies in `recipes/gates/`.", Policy),
]


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, about, model in _DOCUMENTS:
        parts.append(f"## {title}\n\n{about} {_line(model.__doc__)}\n")
        parts += _tables(model)
    return "\n".join([*parts, _OTHERS, *_others()])


def _others() -> Iterator[str]:
    """Keys of other trainers: a line for each key here, then those that need none."""
    yield "| here | elsewhere |\n| --- | --- |"
    for here, names in SAME.items():
        yield f"| `{here}` | {', '.join(f'`{name}`' for name in names.split())} |"
    for said, names in OTHERWISE.items():
        yield f"| {said[0].upper()}{said[1:]} | {', '.join(f'`{name}`' for name in names.split())} |"
    yield ""


def _tables(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """A table of the model's own keys, then one for each section below it."""
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [_row(prefix + name, field) for name, field in model.model_fields.items()]
    yield "\n".join(rows) + "\n"
    for name, field in model.model_fields.items():
        nested = models_in(field.annotation)
        for one in nested:
            item = " (an item)" if _listed(field.annotation) else ""
            tag = f" of `kind: {_tag(one)}`" if len(nested) > 1 else ""
            yield f"### `{prefix}{name}`{item}{tag}\n\n{_line(one.__doc__)}\n"
            yield from _tables(one, f"{prefix}{name}.")


def _row(key: str, field: FieldInfo) -> str:
    nested = models_in(field.annotation)
    meaning = field.description or _line(nested[0].__doc__ if len(nested) == 1 else "")
    if field.is_required():
        default = "required"
    elif nested and isinstance(field.default, BaseModel):
        default = "the defaults below"
    else:
        default = "none" if field.default is None else f"`{_value(field.default)}`"
    cells = (f"`{key}`", _type(field.annotation) + _bounds(field), default, _line(meaning))
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        return "keys below, by `kind`" if len(kinds) > 1 else _type(kinds[0])
    if origin is list:
        return f"list of {_type(arguments[0])}" if not models_in(annotation) else "list of keys below"
    if origin is dict:
        return f"names, each with {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}[
        annotation
    ]


def _bounds(field: FieldInfo) -> str:
    """The limits of a number, as pydantic's metadata has them."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    found = [
        f"{said} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, said in words.items()
        if isinstance(getattr(bound, name, None), int | float)
    ]
    return f", {', '.join(found)}" if found else ""


def _listed(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return origin is list or (origin is Annotated and _listed(get_args(annotation)[0]))


def _tag(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _value(value: Any) -> str:
    """A default as YAML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value) if not isinstance(value, str | float) else f"{value}".removesuffix(".0")


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    print(page(), end="")
