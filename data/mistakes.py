"""What is wrong with a document, in the document's own words: line, key, what it must be, what was given.

`data.strict` reads documents by pydantic's models; none of pydantic's wording reaches a person.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from data.errors import shown

Elsewhere = Mapping[str, str]
"""Of keys that other tools have: the key that means the same here (`lora.r`), or a sentence about it."""

Loc = tuple[int | str, ...]


def sentences(
    error: ValidationError,
    model: type[BaseModel],
    line_of: Callable[[Loc], int | None],
    elsewhere: Elsewhere,
) -> list[str]:
    """One sentence for each mistake, in the order of the document's keys."""
    found = []
    for mistake in error.errors(include_url=False):
        loc, owner = _resolved(model, mistake["loc"])
        line = line_of(loc)
        said = _said(mistake, model, loc, owner, elsewhere)
        place = ": ".join(part for part in (f"line {line}" if line else "", written(loc)) if part)
        found.append((line or 0, f"{place}: {said}" if place else said))
    return [sentence for _, sentence in sorted(found, key=lambda pair: pair[0])]


def first_error(error: ValidationError) -> str:
    """The first mistake alone, as `place: what`: for documents that a program wrote."""
    mistake = error.errors(include_url=False)[0]
    where = shown(".".join(str(part) for part in mistake["loc"]))
    return f"{where}: {what(mistake)}" if where else what(mistake)


def what(mistake: Mapping[str, Any]) -> str:
    """What is wrong at one of pydantic's places, without the value, which may be anybody's."""
    kind = mistake["type"]
    if kind == "extra_forbidden":
        return "unknown key; remove it"
    if kind == "missing":
        return "missing; it is required"
    said = _must(kind, mistake.get("ctx") or {}, mistake["msg"], None)
    return str(mistake["msg"]) if said == _UNREADABLE else said


def written(loc: Loc) -> str:
    """A place as people write it: keys with dots, and items of a list counted from 1."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f", item {part + 1}" if text else f"item {part + 1}"
        else:
            text += (", " if text and _ends_in_item(text) else "." if text else "") + part
    return text


def _ends_in_item(text: str) -> bool:
    return text.rpartition("item ")[2].isdigit()


def _said(
    mistake: Mapping[str, Any],
    model: type[BaseModel],
    loc: Loc,
    owner: type[BaseModel] | None,
    elsewhere: Elsewhere,
) -> str:
    kind, given = mistake["type"], mistake["input"]
    if kind == "extra_forbidden":
        return _unknown(str(loc[-1]), model, loc[:-1], owner, elsewhere)
    if kind == "missing":
        return "missing; this key is required."
    said = _must(kind, mistake.get("ctx") or {}, mistake["msg"], given)
    if kind.startswith("string_") and isinstance(given, bool | int | float):
        return f"{said}, but YAML reads {_shown(given)} as another thing; put it in quotes."
    if kind == "invalid_key":
        return f"a key must be text; put {loc[-1]} in quotes."
    if given is None and kind.startswith("model_"):
        return "it holds nothing; give its keys, or delete it."
    shows = isinstance(given, str) if kind == "value_error" else _is_short(given)
    return f"{said} (given: {_shown(given)})" if shows else said


def _must(kind: str, ctx: dict[str, Any], message: str, given: Any) -> str:
    """What a value must be, by pydantic's kind of error."""
    for name, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if name in ctx:
            return f"must be {words} {ctx[name]:g}"
    if kind in ("literal_error", "enum", "union_tag_invalid", "union_tag_not_found"):
        choices = str(ctx.get("expected") or ctx.get("expected_tags") or "").replace("'", "")
        if not choices:
            return f"needs the key {str(ctx.get('discriminator')).replace(chr(39), '`')}, which says its kind"
        key = f"{str(ctx['discriminator']).strip(chr(39))} " if "discriminator" in ctx else ""
        value = given.get(key.strip()) if key and isinstance(given, dict) else given
        names = [name.strip() for part in choices.split(" or ") for name in part.split(",")]
        near = get_close_matches(str(value), names, n=1, cutoff=0.5)
        return f"{key}must be {choices}" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind in ("too_short", "string_too_short"):
        return "must not be empty" if ctx["min_length"] == 1 else f"must have {ctx['min_length']} or more"
    if kind in ("too_long", "string_too_long"):
        return f"must have at most {ctx['max_length']}" + (
            " characters" if kind.startswith("string") else " items"
        )
    for start, words in _TYPES.items():
        if kind.startswith(start):
            return words
    return _UNREADABLE


_UNREADABLE = "cannot be read"
_TYPES = {
    "int_": "must be a whole number",
    "float_": "must be a number",
    "finite_number": "must be a finite number",
    "bool_": "must be true or false",
    "string_pattern": "is not spelled as it must be",
    "string_unicode": "must be Unicode text, but holds half a character",
    "string_": "must be text",
    "path_": "must be a path, as text",
    "list_": "must be a list, such as [one, other]",
    "tuple_": "must be a list, such as [one, other]",
    "dict_": "must hold `key: value` pairs",
    "model_": "must hold `key: value` pairs",
    "datetime_": "must be a date and time",
}


def _unknown(
    key: str, model: type[BaseModel], parent: Loc, owner: type[BaseModel] | None, elsewhere: Elsewhere
) -> str:
    """What to say of a key that nobody reads: what it is called here, where it stands, or what is near."""
    inside = written(parent)
    here = list(owner.model_fields) if owner else []
    named = elsewhere.get(key.lower().replace("-", "_"))
    if named and " " in named:
        return f"unknown key; {named}"
    paths = dict(keys_of(model))
    if named in paths:
        section, _, last = named.rpartition(".")
        return f"unknown key; here it is `{last if section == inside else named}`."
    if near := get_close_matches(key, here, n=1, cutoff=0.6):
        return f"unknown key; did you mean `{near[0]}`?"
    if others := [path for path, name in paths.items() if name == key]:
        return f"unknown key; it stands elsewhere: {' or '.join(f'`{path}`' for path in others[:3])}."
    if near := get_close_matches(key, here, n=1, cutoff=0.5):
        return f"unknown key; did you mean `{near[0]}`?"
    known = ", ".join(sorted(here))
    return f"unknown key; known {f'under `{inside}` ' if inside else ''}are {known}."


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, str]]:
    """Every key of `model` and below it, as path and name; items of lists are passed over."""
    for name, field in model.model_fields.items():
        yield before + name, name
        for nested in models_in(field.annotation):
            yield from keys_of(nested, f"{before}{name}.")


def _resolved(model: type[BaseModel], loc: Loc) -> tuple[Loc, type[BaseModel] | None]:
    """pydantic's place without what it adds of its own (a union's tags), and the model of the last key."""
    kept: list[int | str] = []
    owner: type[BaseModel] | None = None
    at: Any = model
    for part in loc:
        at = _bare(at)
        if get_origin(at) in (Union, UnionType):
            chosen = [one for one in models_in(at) if part in _tags(one)]
            if chosen:
                at = chosen[0]
                continue
            at = next((one for one in get_args(at) if one is not type(None)), None)
        if isinstance(at, type) and issubclass(at, BaseModel):
            if "root" in at.model_fields:
                at = _bare(at.model_fields["root"].annotation)
            else:
                owner, field = at, at.model_fields.get(str(part))
                kept.append(str(part))
                at = field.annotation if field else None
                continue
        kept.append(part)
        at = get_args(at)[-1] if get_origin(at) in (list, dict, tuple) else None
    return tuple(kept), owner


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and without its `None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        others = [one for one in get_args(annotation) if one is not type(None)]
        if get_origin(annotation) in (Union, UnionType) and len(others) == 1:
            annotation = others[0]
            continue
        return annotation


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [found for argument in get_args(annotation) for found in models_in(argument)]


def _tags(model: type[BaseModel]) -> list[Any]:
    """The literal values of a model's fields: among them its tag in a union."""
    return [value for field in model.model_fields.values() for value in get_args(field.annotation)]


def _is_short(given: Any) -> bool:
    return isinstance(given, str | int | float | bool | None) or given in ([], {})


def _shown(given: Any) -> str:
    """A value as YAML writes it."""
    if given is None:
        return "nothing"
    if isinstance(given, bool):
        return str(given).lower()
    try:
        text = repr(given)
    except ValueError:  # which Python raises for a whole number of thousands of digits
        return "a number that is too long to show"
    return text if len(text) <= 80 else f"{text[:77]}..."


def listed(count: int, what: Sequence[str]) -> str:
    """`count` with the right form of a noun: `what` is its singular and plural."""
    return f"{count:,} {what[0] if count == 1 else what[1]}"
