"""Strict YAML: unknown keys refused with the nearest name, every mistake in one message with its line."""

import json
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo

from data.errors import UserError
from data.mistakes import Elsewhere, Loc, listed, sentences
from data.paths import located, looked

_BESIDE = "beside"
"""In a validation's context: the folder of the file that is read."""


class Strict(BaseModel):
    """The parent of everything that a person writes by hand. A string behind a field describes its key."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    _beside: Path | None = PrivateAttr(default=None)
    """The folder of the file that this stands in; no part of what it says."""

    @model_validator(mode="before")
    @classmethod
    def _no_number(cls, given: Any) -> Any:
        """Leave true and false as texts where a number stands: pydantic would take them for 1 and 0."""
        if not isinstance(given, dict):
            return given
        return given | {
            key: str(value).lower()
            for key, value in given.items()
            if isinstance(value, bool) and key in cls.model_fields and _is_number(cls.model_fields[key])
        }

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, wherever their files stand."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def model_post_init(self, context: Any) -> None:
        self._beside = (context or {}).get(_BESIDE)

    def opened(self, path: str | Path) -> str:
        """Where a path that is written here leads to."""
        return located(str(path), self._beside)

    def looked(self, path: str | Path) -> str:
        """The folders in which `opened` looked for it."""
        return looked(str(path), self._beside)


def _is_number(field: FieldInfo) -> bool:
    kinds = {field.annotation, *get_args(field.annotation)}
    return bool(kinds & {int, float}) and bool not in kinds


Model = TypeVar("Model", bound=BaseModel)

_DATA = (".jsonl", ".jsonlines", ".jl", ".ndjson", ".json", ".parquet", ".csv", ".gz")


def load_yaml(path: Path, model: type[Model], elsewhere: Elsewhere | None = None) -> Model:
    """Read `path` as `model`; UserError with all mistakes, one a line, when it is not one.

    `elsewhere` knows the keys that people bring from other tools.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the path of a YAML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); it must be a UTF-8 YAML file.") from None
    if path.suffix in _DATA:
        raise UserError(f"{path} is a file of data by its name; give a YAML file that names it.")
    try:
        loader = _NoDuplicates(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sign = f"U+{ord(text[error.position]):04X}"
        raise UserError(
            f"{path} is not YAML: line {line} holds the control sign {sign}; delete it."
        ) from None
    try:
        node = loader.get_single_node()
        value = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{path} is not YAML: {_placed(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}; mend it.") from None
    except RecursionError:
        raise UserError(f"{path} is not YAML that can be read: it is nested too deeply; mend it.") from None
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold `key: value` lines; it holds {_kind(value)}.")
    return check(value, model, str(path), node, elsewhere)


def check(
    value: dict[str, Any],
    model: type[Model],
    where: str,
    node: yaml.Node | None = None,
    elsewhere: Elsewhere | None = None,
) -> Model:
    """Validate a parsed document; `where` opens the message, and `node` knows the lines."""
    beside = Path(where).parent if node is not None else None
    try:
        return model.model_validate(value, context={_BESIDE: beside})
    except ValidationError as error:
        found = sentences(error, model, lambda loc: _line(node, loc), elsewhere or {})
        count = listed(len(found), ("mistake", "mistakes"))
        raise UserError("\n".join([f"{where} has {count}:", *(f"  {line}" for line in found)])) from None


class _NoDuplicates(yaml.SafeLoader):
    """YAML lets a later key silently win; here that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | None):
                problem = "a key must be text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _line(node: yaml.Node | None, loc: Loc) -> int | None:
    """The line of the place `loc`, or of the nearest written one above it; None without a document."""
    line = None
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _placed(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    step = "indent with blanks, not tabs" if "'\\t'" in str(error.problem) else "mend this line"
    return f"{place}{error.problem or error.context}; {step}."


def _kind(value: Any) -> str:
    names = {list: "a list", str: "plain text", int: "a number", float: "a number", bool: "a yes or no"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def item(text: str) -> str:
    """A text as an item of a YAML list: in quotes where it would be read as anything else."""
    try:
        bare = yaml.safe_load(f"[{text}]") == [text]
    except (yaml.YAMLError, ValueError):
        bare = False
    return text if bare else json.dumps(text, ensure_ascii=not text.isprintable())
