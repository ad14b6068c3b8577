"""What goes wrong with a record on its way here: keys added, renamed, nested, nulled, retyped, moved.

A mutation says what it touched, so that everything else can be held to what it meant before.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from bench.fuzz_data.keys import KEYS, MARKS_ON_ANSWERS, MARKS_ON_RECORDS, MEANT
from bench.fuzz_data.marks import AsText, Mint, Path, at, below, leaves, marks_of


@dataclass(frozen=True)
class Change:
    """`kind` and `path` say what was done where; `names` are the keys of which a refusal may speak.

    `touched` are marks whose place and neighbors changed; `added` are marks that came with it, under `key`.
    `unlearned` are marks of answers that must not be learned any more.
    """

    kind: str
    path: Path
    names: frozenset[str]
    touched: frozenset[str]
    added: frozenset[str] = frozenset()
    key: str = ""
    unlearned: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(map(str, self.path))}{f' {self.key}' if self.key else ''}"


def mutate(mint: Mint, record: Any) -> tuple[Any, list[Change]]:
    """A copy of the record with one or two changes; sometimes with none."""
    changed = deepcopy(record)
    changes: list[Change] = []
    for _ in range(mint.random.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 2))):
        if not changed:
            break
        change = mint.random.choice(_KINDS)
        if (done := change(mint, changed)) is not None:
            changes.append(done)
    return changed, changes


def _add(mint: Mint, record: Any) -> Change | None:
    path, target = mint.random.choice(list(_objects(record)))
    key = mint.random.choice(KEYS) if mint.chance(0.8) else mint.word()
    if key in target:
        return None
    value = _junk(mint)
    added = marks_of(value) | marks_of(key)
    change = Change("add", (*path, key), _names(path, key), _around(record, path), added, key)
    target[key] = value
    return change


def _rename(mint: Mint, record: Any) -> Change | None:
    path, target = mint.random.choice(list(_objects(record)))
    if not target:
        return None
    old = mint.random.choice(list(target))
    new = mint.random.choice(
        (old + "s", old.upper(), f" {old}", old[:-1] or "x", *mint.random.sample(KEYS, 4))
    )
    if new in target:
        return None
    touched = _around(record, (*path, old))
    items = [(new if key == old else key, value) for key, value in target.items()]
    target.clear()
    target.update(items)
    return Change("rename", (*path, new), _names(path, old, new), touched, key=new)


def _nest(mint: Mint, record: Any) -> Change | None:
    path, target, key = _place(mint, record)
    change = Change("nest", path, _names(path), _around(record, path))
    wrap: Callable[[Any], Any] = mint.random.choice(
        (
            lambda inner: [inner],
            lambda inner: {"value": inner},
            lambda inner: {mint.random.choice(KEYS): inner},
            lambda inner: {"type": "text", "text": inner},
            lambda inner: AsText(inner),
        )
    )
    target[key] = wrap(target[key])
    return change


def _null(mint: Mint, record: Any) -> Change | None:
    path, target, key = _place(mint, record)
    change = Change("null", path, _names(path), _around(record, path))
    target[key] = None
    return change


def _retype(mint: Mint, record: Any) -> Change | None:
    path, target, key = _place(mint, record)
    value = _junk(mint)
    change = Change("retype", path, _names(path), _around(record, path), marks_of(value))
    target[key] = value
    return change


def _move(mint: Mint, record: Any) -> Change | None:
    """A key to another object of the record: above, below or beside its own."""
    spots = list(_objects(record))
    path, source = mint.random.choice(spots)
    if not source:
        return None
    key = mint.random.choice(list(source))
    inside = {id(one) for _, one in _objects(source[key])}
    there, target = mint.random.choice(spots)
    if target is source or key in target or id(target) in inside:
        return None
    touched = _around(record, (*path, key)) | _around(record, (*there, key))
    target[key] = source.pop(key)
    return Change("move", (*there, key), _names(path, *_names(there), key), touched, key=key)


def _drop(mint: Mint, record: Any) -> Change | None:
    path, target, key = _place(mint, record)
    change = Change("drop", path, _names(path), _around(record, path))
    del target[key]
    return change


def _mark(mint: Mint, record: Any) -> Change | None:
    """A word that an answer, or the whole record, is not to be learned."""
    spots = [(path, one) for path, one in _objects(record) if _is_answer(one)]
    if spots and mint.chance(0.6):
        path, target = mint.random.choice(spots)
        key, value = mint.random.choice(MARKS_ON_ANSWERS)
        unlearned = _values(target)
    else:
        path, target = (), record
        key, value = mint.random.choice(MARKS_ON_RECORDS)
        unlearned = _values(record)
    if key in target:
        return None
    said = f"{key}={json.dumps(value)}"
    meant = frozenset() if key in MEANT else unlearned
    change = Change("mark", (*path, key), _names(path, key), _around(record, path), frozenset(), said, meant)
    target[key] = deepcopy(value)
    return change


_KINDS = (_add, _add, _add, _rename, _rename, _nest, _null, _retype, _move, _move, _drop, _mark, _mark)


def _values(value: Any) -> frozenset[str]:
    """The marks of an object's values: keys of arguments are those of other calls too."""
    return frozenset().union(*(marks_of(one) for _, one in leaves(value)))


def _is_answer(value: dict[str, Any]) -> bool:
    """Whether an object is a message of the assistant, in any format."""
    who = value.get("role", value.get("from"))
    return who in ("assistant", "gpt", "function_call", "tool_call")


def _names(path: Path, *more: str) -> frozenset[str]:
    return frozenset(step for step in (*path, *more) if isinstance(step, str) and step)


def _around(record: Any, path: Path) -> frozenset[str]:
    """The marks of what a change at `path` may spoil: the message, tool or pair that it is in.

    Of a record's own key it is the key's value; of the record as a whole, nothing.
    """
    first = next((place for place, step in enumerate(path) if isinstance(step, int)), 0)
    return frozenset().union(*map(marks_of, at(record, path[: first + 1]))) if path else frozenset()


def _junk(mint: Mint) -> Any:
    make = mint.random.choice((mint.word, mint.word, mint.text, mint.number, None, None, None))
    if make is not None:
        return make()
    return mint.random.choice(
        (
            True,
            False,
            None,
            0,
            "",
            [],
            {},
            mint.number() + 0.5,
            [mint.word()],
            {mint.word(): mint.word()},
            [{"role": "user", "content": mint.word()}],
        )
    )


def _objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    inner = value.value if isinstance(value, AsText) else value
    if isinstance(inner, dict):
        yield path, inner
    for step, item in below(inner):
        yield from _objects(item, (*path, *step))


def _place(mint: Mint, record: Any) -> tuple[Path, Any, Any]:
    """A value anywhere in the record: its path, what holds it, and its key or place there."""
    spots: list[tuple[Path, Any, Any]] = []

    def walk(value: Any, path: Path) -> None:
        inner = value.value if isinstance(value, AsText) else value
        for step, item in below(inner):
            if isinstance(inner, dict | list):
                spots.append(((*path, *step), inner, step[0]))
            walk(item, (*path, *step))

    walk(record, ())
    return mint.random.choice(spots)
