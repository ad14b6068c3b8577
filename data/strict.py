"""Strict YAML: unknown keys refused with the nearest name, every mistake in one message."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from data.errors import UserError


class Strict(BaseModel):
    """The parent of everything that a person writes by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read `path` as `model`; UserError with all mistakes, one a line, when it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the path of a YAML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); it must be a UTF-8 YAML file.") from None
    try:
        value = yaml.load(text, Loader=_NoDuplicates)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold `key: value` lines; it holds {_kind(value)}.")
    return check(value, model, str(path))


def check(value: dict[str, Any], model: type[Model], where: str) -> Model:
    """Validate a parsed document; `where` opens the message."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        mistakes = [_sentence(mistake, model) for mistake in error.errors()]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise UserError("\n".join([f"{where} has {count}:", *(f"  {line}" for line in mistakes)])) from None


class _NoDuplicates(yaml.SafeLoader):
    """YAML lets a later key silently win; here that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _sentence(mistake: Any, model: type[BaseModel]) -> str:
    loc = tuple(mistake["loc"])
    where = ".".join(str(part) for part in loc)
    if mistake["type"] == "extra_forbidden":
        names = _fields_at(model, loc[:-1])
        near = get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(sorted(names))}."
        return f"{where}: unknown key; {hint}"
    if mistake["type"] == "missing":
        return f"{where}: missing; this key is required."
    given = mistake["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool | None) else ""
    return f"{where}: {mistake['msg'].removeprefix('Value error, ')}{shown}"


def _fields_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Field names of the nested model that `loc` leads to; list indices and union tags are passed over."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        if nested := _models_in(field.annotation):
            # Of a tagged union, the member whose tag stands in `loc`.
            tagged = (one for one in nested if any(tag in loc for tag in _tags(one)))
            model = next(tagged, nested[0])
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _tags(model: type[BaseModel]) -> list[Any]:
    """The literal values of a model's fields: among them its tag in a union."""
    return [value for field in model.model_fields.values() for value in get_args(field.annotation)]


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
