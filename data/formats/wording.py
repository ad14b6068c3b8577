"""What pydantic finds wrong with a conversation, in words of the data: `message 2: ...`, counted from 1."""

from pydantic import ValidationError

from data.formats.values import kind_of

_ITEMS = {
    "messages": "message", "prompt": "message", "tools": "tool", "tool_calls": "call", "content": "part",
    "list[TextItem]": "part",
}  # fmt: skip
_TYPES = {
    "string_type": "text", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
    "model_attributes_type": "an object", "bool_type": "true or false", "bool_parsing": "true or false",
}  # fmt: skip


def mistake(error: ValidationError) -> str:
    """The mistake that lies deepest: of a union's members, the one that the record came nearest to."""
    mistakes = error.errors(include_url=False)
    found = max(mistakes, key=lambda one: len(one["loc"]))  # the first of several equally deep ones
    where = _place(found["loc"])
    return f"{where}: {_words(found)}" if where else _words(found)


def _place(loc: tuple[int | str, ...]) -> str:
    """`message 2, call 1` of `("messages", 1, "assistant", "tool_calls", 0, "function")`."""
    found = [
        f"{_ITEMS.get(str(before), str(before))} {part + 1}"
        for before, part in zip(("", *loc), loc, strict=False)
        if isinstance(part, int)
    ]
    if loc and loc[0] in ("chosen", "rejected"):
        found.insert(0, f"the {loc[0]} answer")
    last = loc[-1] if loc else ""
    if isinstance(last, str) and last not in ("", "function", "str", "list[TextItem]", *_ROLES):
        found.append(f"`{last}`")
    return ", ".join(found)


_ROLES = ("system", "user", "assistant", "tool")
"""The tags of a message's union, which stand in the places of its mistakes."""


def _words(found: object) -> str:
    assert isinstance(found, dict)
    kind, given = found["type"], found.get("input")
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "the key is not known"
    if kind in _TYPES:
        return f"it is not {_TYPES[kind]} but {kind_of(given)}"
    if kind in ("too_short", "string_too_short"):
        return "it is empty"
    if kind == "literal_error":
        return f"it is {given!r:.60}, where only {found['ctx']['expected']} is known"
    return str(found["msg"]).removeprefix("Value error, ")
