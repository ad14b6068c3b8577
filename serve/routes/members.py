"""The three kinds of members that a request's objects have: used, known to say nothing, and unknown.

The first two stand in the table of `fields.py`. What is unknown is refused with its place, all of it at once.
Null is as good as absent, whatever the member.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from data.errors import shown
from serve.errors import ApiError
from serve.routes.foreign import FOREIGN, NESTED

MAX_SENTENCE = 900
"""Characters of an error that lists fields; those beyond are counted."""

Path = tuple[str | int, ...]


def without_nulls(value: Any, schema: dict[str, Any]) -> Any:
    """Return `value` without the members that are null, in all objects whose members `schema` knows.

    What is inside other objects, such as the schemas of tools, is theirs: a null may mean something there.
    """
    if isinstance(value, list) and "items" in schema:
        return [without_nulls(one, schema["items"]) for one in value]
    if not isinstance(value, dict) or not ({"properties", "additionalProperties"} & schema.keys()):
        return value
    known = schema.get("properties", {})
    return {
        name: without_nulls(member, known.get(name, {}))
        for name, member in value.items()
        if member is not None
    }


def check_members(body: dict[str, Any], schema: dict[str, Any]) -> None:
    """Refuse what `schema` does not know of, and leave out what asks for nothing.

    Raises:
        ApiError: `unknown_field` with every place and its next step; `param` is the first place.
    """
    for name, foreign in FOREIGN.items():
        if name in body and foreign.asks_for_nothing(body[name]):
            del body[name]
    unknown = [*_unknown(body, schema, ()), *_misplaced(body)]
    if unknown:
        raise _refusal(unknown, list(schema["properties"]))


def place(path: Path) -> str:
    """Return a path as OpenAI's errors name it: `messages[0].content`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown(text.removeprefix("."))


def _unknown(value: Any, schema: dict[str, Any], path: Path) -> Iterator[Path]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unknown(one, schema.get("items", {}), (*path, number))
        return
    if not isinstance(value, dict) or "properties" not in schema or _is_another(value, schema):
        return
    known = schema["properties"]
    yield from ((*path, name) for name in value if name not in known)
    for name in (name for name in value if name in known):
        yield from _unknown(value[name], known[name], (*path, name))


def _is_another(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether an object is of a type that is refused whole, so that its members are none of this one's."""
    kinds = schema["properties"].get("type", {}).get("enum")
    return kinds is not None and value.get("type", kinds[0]) not in kinds


def _misplaced(body: dict[str, Any]) -> Iterator[Path]:
    """The schema of an answer whose type says that there is none."""
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") in ("text", "json_object") and "json_schema" in form:
        yield "response_format", "json_schema"


def _refusal(unknown: list[Path], known: list[str]) -> ApiError:
    listed, left = "", len(unknown)
    for path in unknown:
        more = place(path) + (f" ({why})" if (why := _why(path, known)) else "")
        if listed and len(listed) + len(more) > MAX_SENTENCE:
            break
        listed, left = f"{listed}, {more}" if listed else more, left - 1
    rest = f" and {left} more" if left else ""
    what = "the field" if len(unknown) == 1 else f"these {len(unknown)} fields:"
    them = "it" if len(unknown) == 1 else "them"
    return ApiError(
        f"This server does not take {what} {listed}{rest}; remove {them}.",
        code="unknown_field",
        param=place(unknown[0]),
    )


def _why(path: Path, known: list[str]) -> str | None:
    """What to do about an unknown member, None where nothing is known of it."""
    names = [str(part) for part in path if not isinstance(part, int)]
    if len(names) > 1:
        return NESTED.get(".".join(names))
    if foreign := FOREIGN.get(names[0]):
        return foreign.why
    near = difflib.get_close_matches(names[0][:64], known, n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else None
