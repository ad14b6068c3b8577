"""Values that are found again: every word and number of a record is like no other, and says where it was."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

MARK = re.compile(r"q\d{5}z|7\d{7}")
"""A word `q00012z`, which may also name a function, or a number such as 70000012."""

Path = tuple[str | int, ...]
"""The way to a value: keys of objects, and places in lists."""

_SPICE = (
    "São João, {}",
    "{} — é isso?",
    "one\ntwo {}",
    'he said "{}"',
    "{{{}}}",
    "{}",
    "{}",
    "{} <b>&",
    "a\t{}",
)


class Mint:
    """Marks, none twice, and choices; all of them follow from the seed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._made = 0

    def word(self) -> str:
        self._made += 1
        return f"q{self._made:05d}z"

    def number(self) -> int:
        self._made += 1
        return 70_000_000 + self._made

    def text(self) -> str:
        """A short text around a word; no blank at its ends, which some formats do not keep."""
        return self.random.choice(_SPICE).format(self.word())

    def chance(self, share: float) -> bool:
        return self.random.random() < share


@dataclass
class AsText:
    """A value that a record holds as text, between other words: `write` says how. Mutations walk into it."""

    value: Any
    before: str = ""
    after: str = ""
    write: Callable[[Any], str] = json.dumps


@dataclass
class Joined:
    """Texts and values as text, one behind the other."""

    parts: list[Any]


def plain(value: Any) -> Any:
    """The record as a file holds it, every text written."""
    if isinstance(value, AsText):
        return f"{value.before}{value.write(plain(value.value))}{value.after}"
    if isinstance(value, Joined):
        return "".join(plain(part) for part in value.parts)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def marks_of(value: Any) -> frozenset[str]:
    """Every mark in a value, those of its keys too."""
    if isinstance(value, bool) or value is None:
        return frozenset()
    if isinstance(value, str | int | float):
        return frozenset(MARK.findall(str(value)))
    if isinstance(value, AsText):
        return marks_of(value.value) | marks_of(value.before) | marks_of(value.after)
    if isinstance(value, Joined):
        return frozenset().union(*map(marks_of, value.parts))
    if isinstance(value, dict):
        return frozenset().union(*map(marks_of, value), *map(marks_of, value.values()))
    return frozenset().union(*map(marks_of, value))


def below(value: Any) -> Iterator[tuple[Path, Any]]:
    """The values one step below, with that step; what a text holds stands in the text's own place."""
    if isinstance(value, AsText):
        yield from below(value.value)
    elif isinstance(value, Joined):
        yield from (((), part) for part in value.parts if not isinstance(part, str))
    elif isinstance(value, dict):
        yield from (((key,), item) for key, item in list(value.items()))
    elif isinstance(value, list):
        yield from (((place,), item) for place, item in enumerate(list(value)))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that holds no other, with the way to it."""
    inner = value.value if isinstance(value, AsText) else value
    if isinstance(inner, Joined):
        yield from ((path, part) for part in inner.parts if isinstance(part, str) and marks_of(part))
    if isinstance(inner, dict | list | Joined | AsText):
        for step, item in below(inner):
            yield from leaves(item, (*path, *step))
    else:
        yield path, inner


def in_text(value: Any, path: Path) -> bool:
    """Whether a path leads through a text."""
    if isinstance(value, AsText | Joined):
        return True
    if not path:
        return False
    inside = dict(below(value)).get(path[:1])
    return inside is not None and in_text(inside, path[1:])


def at(value: Any, path: Path) -> list[Any]:
    """The values at a path: several where a text holds several."""
    if not path:
        return [value]
    return [
        found
        for steps, item in below(value)
        if steps in ((), path[:1])
        for found in at(item, path[len(steps) :])
    ]


def replaced(value: Any, path: Path, new: Any) -> Any:
    """The record with another value at `path`; what texts hold counts as the texts' own."""
    if not path:
        return new
    if isinstance(value, AsText):
        return AsText(replaced(value.value, path, new), value.before, value.after, value.write)
    if isinstance(value, Joined):
        return Joined([_replaced_part(part, path, new) for part in value.parts])
    if isinstance(value, dict) and path[0] in value:
        return value | {path[0]: replaced(value[path[0]], path[1:], new)}
    if isinstance(value, list) and isinstance(path[0], int) and path[0] < len(value):
        return [
            replaced(item, path[1:], new) if place == path[0] else item for place, item in enumerate(value)
        ]
    return value


def _replaced_part(part: Any, path: Path, new: Any) -> Any:
    return part if isinstance(part, str) else replaced(part, path, new)


def spelled(path: Path) -> str:
    """A path as readers list it, without the places in lists: `messages[].name`."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
