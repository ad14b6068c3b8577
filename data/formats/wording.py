"""What pydantic finds wrong with a conversation, in words of the data: `message 2: ...`, counted from 1."""

from pydantic import ValidationError

from data.formats.values import kind_of

_LISTS = {
    "messages": "message",
    "prompt": "message",
    "tools": "tool",
    "tool_calls": "call",
    "content": "part",
}
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
    words: list[str] = []
    for before, part in zip(("", *loc), loc, strict=False):
        if isinstance(part, int):
            words[-1:] = [f"{_LISTS.get(str(before), f'item of `{before}`')} {part + 1}"]
        elif not isinstance(before, int) or before == "" or part not in _TAGS:
            words.append(f"`{part}`")
    return ", ".join(word for word in words if word.strip("`") not in _TAGS)


_TAGS = frozenset({"system", "user", "assistant", "tool", "function", "str", "list[TextItem]"})


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
    return str(found["msg"]).removeprefix("Value error, ")
