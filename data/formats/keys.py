"""Every key of a record is used, known to say nothing, or refused: none vanishes.

A `Reader` holds one object of a record. What an importer takes out of it is used; what is left when the
record is closed is looked up in `marks`, and refused where it stands in no table there.
"""

import ast
import json
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from data.formats.marks import GOOD, LEARN, SILENT, THOUGHTS, Place, buried, objection
from data.formats.problems import RefusalError
from data.formats.values import NotJson, absent
from data.strict import item

Fields = dict[str, Any]
NONE: frozenset[str] = frozenset()


class Ledger:
    """The readers of one record, and the paths of its keys that said nothing.

    A path has no indices: `messages[].name`, `tools[].function.return`, `source`. Keys whose paths are in
    `ignore` are passed over before anything reads them, and count among those that said nothing.
    """

    __slots__ = ("_readers", "ignore", "unused")

    def __init__(self, ignore: frozenset[str] = NONE) -> None:
        self.ignore = ignore
        self.unused: set[str] = set()
        self._readers: list[Reader] = []

    def open(self, value: Fields, path: str = "", place: Place = "record", name: str = "") -> "Reader":
        """A reader of `value`, which stands at `path`; messages call it `name`, such as `message 3`."""
        reader = Reader(self, value, path, place, name)
        self._readers.append(reader)
        return reader

    def close(self) -> None:
        """Account for all that no importer took; RefusalError with name, place and next step."""
        for reader in self._readers:
            if reader.left:
                reader.close()


class Reader:
    """One object of a record: `take` uses a key's value. Null is as good as absent."""

    __slots__ = ("_ledger", "_name", "given", "learned", "left", "path", "place")

    def __init__(self, ledger: Ledger, value: Fields, path: str, place: Place, name: str) -> None:
        self.given = value
        self.left = value.copy()
        if None in value.values():
            self.left = {key: item for key, item in value.items() if item is not None}
        self.path, self.place = path, place
        self.learned = True
        """Whether the object's words are learned: a flag that says so has no effect on a question."""
        self._ledger, self._name = ledger, name
        if ledger.ignore:
            self._pass_over(ledger.ignore)

    def take(self, key: str) -> Any:
        """The value of `key`, which is thereby used; None where there is none."""
        return self.left.pop(key, None)

    def inside(self, key: str, value: Fields, place: Place, name: str) -> "Reader":
        """A reader of an object that stood under `key`, which may end in `[]` for a list's items."""
        return self._ledger.open(value, self.at(key), place, name)

    def at(self, key: str) -> str:
        """The path of one of the object's keys."""
        return f"{self.path}.{key}" if self.path else key

    def unused(self, key: str) -> None:
        """Count a key that said nothing."""
        self._ledger.unused.add(self.at(key))

    @property
    def name(self) -> str:
        return self._name or "the record"

    def close(self) -> None:
        """Account for what was not taken."""
        for key, value in self.left.items():
            if absent(value):
                continue
            silent = key in SILENT[self.place]
            if silent or value in ("", [], {}):
                if not (key in THOUGHTS and isinstance(value, str)):
                    _search(self.at(key), value)
                self.unused(key)
                continue
            why = objection(key, value, self.learned)
            if why is None:
                raise RefusalError(self._unknown(key))
            if why:
                raise RefusalError(f"`{key}` of {self.name} {why}")
            if not self.learned:
                self.unused(key)
        self.left = {}

    def _pass_over(self, ignore: frozenset[str]) -> None:
        for key in [key for key in self.left if self.at(key) in ignore]:
            del self.left[key]
            self.unused(key)

    def _unknown(self, key: str) -> str:
        if key in _KNOWN[self.place]:
            return (
                f"`{key}` of {self.name} belongs to another format than the rest of it; keep one of them, or"
                f" pass it over in every record with data.ignore: [{item(self.at(key))}]"
            )
        near = get_close_matches(key, _KNOWN[self.place], n=1, cutoff=0.75)
        hint = f" (did you mean `{near[0]}`?)" if near else ""
        shown = key[:60] if key.isprintable() else repr(key[:60])
        return (
            f"`{shown}` of {self.name} is a key that no reader knows{hint}; mend it, or pass it over in"
            f" every record with data.ignore: [{item(self.at(key))}]"
        )


_KNOWN: dict[Place, tuple[str, ...]] = {
    "record": (
        "messages", "conversations", "tools", "functions", "system", "prompt", "completion", "instruction",
        "input", "output", "history", "query", "answers", "chat", "id", "group", "category", "chosen",
        "rejected", *GOOD, *LEARN,
    ),
    "message": (
        "role", "content", "from", "value", "tool_calls", "tool_call_id", "function_call", "refusal", *LEARN,
    ),
    "part": ("type", "text"),
    "call": ("id", "type", "function", "name", "arguments"),
    "tool": ("type", "function", "name", "description", "parameters", "strict"),
}  # fmt: skip
"""Names to think of when another one stands there: of keys that say nothing none is told."""


def _search(path: str, value: Any) -> None:
    """Refuse marks inside what says nothing else, such as `metadata.label`, also where it is JSON text."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = _decoded(value)
    if isinstance(value, list):
        for item in value:
            _search_key(path, path.rpartition(".")[2], item)
    elif isinstance(value, dict):
        for key, item in _paired(value).items():
            _search_key(f"{path}.{key}", key, item)


def _decoded(text: str) -> Any:
    """What a text says as JSON or as Python prints it; the text itself where it is neither."""
    for decode in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return decode(text)
    return text


def _search_key(path: str, key: str, value: Any) -> None:
    if absent(value) or value in ("", [], {}) or isinstance(value, NotJson):
        return
    if why := buried(key, value):
        raise RefusalError(f"`{path}` {why}")
    _search(path, value)


def _paired(value: Fields) -> Fields:
    """`{"key": "label", "value": false}`, as logs write what others write as `{"label": false}`."""
    name = value.get("key", value.get("name"))
    said = value.get("value", value.get("score"))
    return value | {name: said} if isinstance(name, str) and said is not None else value
