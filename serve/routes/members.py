"""The three kinds of members of a request's objects: used, known to say nothing, and unknown.

The first two stand in the table of `fields.py`. What is unknown is refused with its place, all of it at once.
Null is as good as absent, whatever the member.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from data.errors import shown
from serve.errors import ApiError
from serve.routes.foreign import FOREIGN, NESTED
from serve.routes.messages import ROLE_ALONE, ROLES

MAX_SENTENCE = 900
"""Characters of an error that lists fields; those beyond are counted."""

Path = tuple[str | int, ...]

Trail = tuple["Trail", str | int] | tuple[()]
"""A path from its end to its beginning: there are many, and few are told."""


def read_members(body: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a request without its nulls and without the fields that ask for nothing.

    Nulls inside objects whose members `schema` does not list, such as the schemas of tools, are theirs: one
    may mean something there.

    Raises:
        ApiError: `unknown_field` with every place that `schema` does not know, and its next step; `param` is
            the first.
    """
    body = {name: value for name, value in body.items() if not _asks_for_nothing(name, value)}
    unknown: list[Trail] = []
    body = _read(body, schema, (), unknown)
    paths = [*map(_path, unknown), *_misplaced(body)]
    if paths:
        raise _refusal(paths, list(schema["properties"]))
    return body


def _asks_for_nothing(name: str, value: Any) -> bool:
    foreign = FOREIGN.get(name)
    return foreign is not None and foreign.asks_for_nothing(value)


def _read(value: Any, schema: dict[str, Any], trail: Trail, unknown: list[Trail]) -> Any:
    """Return an object or a list without nulls; what `schema` does not know of is put on `unknown`."""
    if isinstance(value, list):
        if "items" not in schema or len(value) > schema.get("maxItems", len(value)):
            return value  # of which the bounds say that it is too long
        inner = schema["items"]
        return [
            _read(one, inner, (trail, at), unknown) if isinstance(one, dict | list) else one
            for at, one in enumerate(value)
        ]
    known = schema.get("properties")
    if known is None:
        if "additionalProperties" in schema:
            return {name: member for name, member in value.items() if member is not None}
        return value
    another = _is_another(value, known)
    kept = {}
    for name, member in value.items():
        if member is None:
            continue
        if name not in known:
            if not another:
                unknown.append((trail, name))
        elif isinstance(member, dict | list):
            member = _read(member, known[name], (trail, name), unknown)
        kept[name] = member
    return kept


def _is_another(value: dict[str, Any], known: dict[str, Any]) -> bool:
    """Whether an object is of a type that is refused whole, so that its members are none of this one's."""
    kinds = known.get("type", {}).get("enum")
    return kinds is not None and value.get("type", kinds[0]) not in kinds


def _path(trail: Trail) -> Path:
    parts: list[str | int] = []
    while trail:
        trail, part = trail
        parts.append(part)
    return tuple(reversed(parts))


def place(path: Path) -> str:
    """Return a path as OpenAI's errors name it: `messages[0].content`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown(text.removeprefix("."))


def _misplaced(body: dict[str, Any]) -> Iterator[Path]:
    """Members of answers in others' messages, and the schema of one whose type says that there is none."""
    messages = body.get("messages")
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict) and (role := message.get("role")) in ROLES:
            for name in ROLE_ALONE:
                if message.get(name) and role != ROLE_ALONE[name]:
                    yield "messages", number, name
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
    if names[0] == "messages" and len(names) == 2 and names[1] in ROLE_ALONE:
        return f"only messages of role {ROLE_ALONE[names[1]]} have it"
    if len(names) > 1:
        return NESTED.get(".".join(names))
    if foreign := FOREIGN.get(names[0]):
        return foreign.why
    near = difflib.get_close_matches(names[0][:64], known, n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else None
