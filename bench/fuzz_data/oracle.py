"""Whether what a reader made of a record is right: every leaf used, listed or refused, and in its place."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.fuzz_data.case import Case
from bench.fuzz_data.landing import may_be_read, may_land
from bench.fuzz_data.marks import Path, in_text, leaves, marks_of, plain, replaced, spelled
from bench.fuzz_data.mutations import Change
from bench.fuzz_data.outcome import Outcome
from bench.fuzz_data.talk import Slot
from data.chat import Conversation
from data.preference import Preference
from data.rules import problems

Again = Callable[[Any], Outcome]
"""What the same reader makes of another record."""

_LIBRARY = re.compile(
    r"Traceback|Extra inputs|Field required|Input should|Input tag|Value error|valid \w+ \[type|pydantic"
    r"|validation error|TextItem|list\[|<class |NoneType|object has no attribute|list index|KeyError"
    r"|TypeError"
)
_PLACE = re.compile(
    r"\b(message|turn|tool|answer|call|definition|pair|item)s? \d+|`(chosen|rejected)`|<tools>"
    r"|(chosen|rejected) answer|the prompt ends|belongs to another format"
)
_OF_BOTH = re.compile(r"differ before|`\w+` is marked as not to be learned")
_NUMBER = re.compile(r"\b(?:message|turn) (\d+)")
_LONGEST = 600
_FRESH = "q99999z"


@dataclass(frozen=True)
class Fault:
    """`kind` is one word; `about` says what happened to which key, the same for all such records."""

    kind: str
    about: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.about}"


def judge(
    case: Case, record: Any, changes: Sequence[Change], found: Outcome, again: Again, sound: bool
) -> list[Fault]:
    """Every fault of one record's reading; `sound` says that its unchanged form is taken."""
    if found.problem is not None:
        return [*sentence(found.problem), *_refusal(case, changes, found.problem, sound)]
    assert found.slots is not None
    return [
        *_learned(case, changes, found.slots),
        *_lost(record, changes, found, again),
        *_changed(case, changes, found.slots),
        *_landed(case, changes, found.slots, _warned(found.made)),
    ]


def sentence(problem: str) -> Iterator[Fault]:
    """Refuse what is no plain sentence of a problem."""
    if match := _LIBRARY.search(problem):
        yield Fault("sentence", f"speaks of {match[0]!r}")
    if "\n" in problem or not problem.endswith((".", "?", "!")) or not problem.isprintable():
        yield Fault("sentence", "is not one printable line that ends as a sentence does")
    if len(problem) > _LONGEST:
        yield Fault("sentence", f"is longer than {_LONGEST} characters")


def _refusal(case: Case, changes: Sequence[Change], problem: str, sound: bool) -> Iterator[Fault]:
    """A valid record is not refused; what was changed is named, by its key or by its place."""
    if not changes:
        if case.supported:
            yield Fault("refused", "a valid record")
        return
    if not sound:
        return
    key = str(changes[0].path[-1])
    if len(changes) == 1 and changes[0].kind == "add" and not may_be_read(changes[0].path):
        if key.strip() not in problem and not _OF_BOTH.search(problem):
            yield Fault("unnamed", f"an added key: {shape(problem)}")
    elif not _PLACE.search(problem) and not any(
        name.strip().rstrip("s") in problem for change in changes for name in change.names
    ):
        yield Fault("unnamed", f"{changes[0].kind}: {shape(problem)}")
    if len(changes) == 1 and _elsewhere(changes[0], problem):
        yield Fault("unnamed", "another message than the changed one")


def _elsewhere(change: Change, problem: str) -> bool:
    """Whether a problem names the changed key, and as its place only other messages (counted from 1)."""
    path = change.path
    if len(path) < 3 or path[0] not in ("messages", "conversations") or change.kind in ("move", "rename"):
        return False
    said = {int(number) for number in _NUMBER.findall(problem)}
    return f"`{path[-1]}`" in problem and bool(said) and int(path[1]) + 1 not in said


def _learned(case: Case, changes: Sequence[Change], slots: Sequence[Slot]) -> Iterator[Fault]:
    """Nothing is learned that the record says not to learn."""
    meant = case.spoiled and not any(case.spoiled in change.names for change in changes)
    if meant and any(slot.learned for slot in slots):
        yield Fault("learned", f"a record with {case.spoiled}")
    for change in changes:
        undone = any(change.path[-1] in (*one.path, *one.names) for one in changes if one is not change)
        if not undone and any(slot.learned and slot.own & change.unlearned for slot in slots):
            yield Fault("learned", f"{spelled(change.path)} ({change.key})")


def _lost(record: Any, changes: Sequence[Change], found: Outcome, again: Again) -> Iterator[Fault]:
    """Every leaf is in what was read, or listed, or another value of it would have made a difference."""
    yield from (Fault("lost", about) for about in unaccounted(record, found))
    new = [change.path for change in changes]
    for path, value in leaves(record):
        if value is None or marks_of(value) or any(map(marks_of, path)) or listed(record, path, found.unused):
            continue
        if new and not any(path[: len(one)] == one for one in new):
            continue  # asked of the unchanged records
        if _same(again(plain(replaced(record, path, _other(value)))), found):
            yield Fault("lost", f"{_about(path)} (nothing depends on {value!r:.20})")


def unaccounted(record: Any, found: Outcome) -> Iterator[str]:
    """Leaves with a mark, in themselves or in their key, that is neither in what was read nor listed."""
    assert found.slots is not None
    present = frozenset().union(*(slot.marks for slot in found.slots), *map(marks_of, found.ids))
    for path, value in leaves(record):
        if value is None:  # a table's, unless `_changed` finds that it was meant
            continue
        marks = marks_of(value) | frozenset().union(*map(marks_of, path))
        if not marks <= present and not listed(record, path, found.unused):
            yield _about(path)


def _changed(case: Case, changes: Sequence[Change], slots: Sequence[Slot]) -> Iterator[Fault]:
    """What no change touched means what it meant, in the same order."""
    touched = frozenset().union(*(change.touched for change in changes))
    unlearned = frozenset().union(*(change.unlearned for change in changes))
    added = frozenset().union(*(change.added for change in changes))
    at = 0
    for expected in _untouched(case.slots, touched):
        free = bool(expected.marks & unlearned)  # whether it is learned, `_learned` says
        place = next((n for n in range(at, len(slots)) if _equal(slots[n], expected, free)), None)
        if place is not None:
            at = place + 1
        else:
            same = [slot for slot in slots if slot.marks & expected.marks]
            nearest = max(
                same, key=lambda slot: (slot.kind == expected.kind, slot.said == expected.said), default=None
            )
            joined = nearest is not None and expected.said[0] in nearest.said[0]
            if joined and (nearest.marks & added or any(len(change.path) == 1 for change in changes)):
                continue  # a column, which came or was empty, stands beside it in one text
            how = "is missing" if nearest is None else _difference(expected, nearest)
            yield Fault("changed", f"{expected.kind} {how}")
            return
    if not changes and len(slots) != len(case.slots):
        yield Fault("changed", f"{len(slots)} things are said instead of {len(case.slots)}")


def _equal(slot: Slot, expected: Slot, free: bool) -> bool:
    return slot[:2] == expected[:2] and (free or slot.learned == expected.learned)


def _difference(expected: Slot, got: Slot) -> str:
    if got.kind != expected.kind:
        return f"became {got.kind}"
    if got.said != expected.said:
        return (
            "says something else"
            if expected.kind != "result"
            else "says something else, or answers another call"
        )
    return (
        "is learned"
        if got.learned > expected.learned
        else "is no longer learned"
        if expected.learned
        else "moved"
    )


def _untouched(slots: Sequence[Slot], touched: frozenset[str]) -> Iterator[Slot]:
    """Slots without a touched mark; of calls and results in a row all, or none of the results."""
    group: list[Slot] = []
    for slot in [*slots, None]:
        if slot is not None and slot.kind.rpartition(" ")[2] in ("call", "result"):
            group.append(slot)
            continue
        whole = not any(one.marks & touched for one in group)
        yield from (one for one in group if whole or (one.kind != "result" and not one.marks & touched))
        group = []
        if slot is not None and not slot.marks & touched:
            yield slot


def _landed(case: Case, changes: Sequence[Change], slots: Sequence[Slot], warned: bool) -> Iterator[Fault]:
    """What came or moved stands only where its key may put it.

    A call that is learned as words, since nothing says any more that it is one, is told by a warning.
    """
    kinds: dict[str, set[str]] = {}
    for slot in case.slots:
        for mark in slot.marks:
            kinds.setdefault(mark, set()).add(slot.kind)
    moved = frozenset().union(*(change.added | change.touched for change in changes))
    for slot in slots:
        for mark in sorted(slot.marks & moved):
            was = kinds.get(mark, set())
            if warned and "call" in was:
                continue
            if not may_land(slot.kind, changes, was):
                how = " and ".join(sorted({change.kind for change in changes}))
                yield Fault("landed", f"in {slot.kind} by {how}, was {' and '.join(sorted(was)) or 'new'}")
                return


def _warned(made: Conversation | Preference | None) -> bool:
    """Whether `finetune validate` says that an answer writes a call as words."""
    return isinstance(made, Conversation) and any(one.kind == "call_as_text" for one in problems(made))


def listed(record: Any, path: Path, unused: Sequence[str]) -> bool:
    """Whether a leaf's key, or one above it, is among the keys that were listed.

    What stands in a text has no path of its own: it is listed below the text's key or as what it describes,
    such as `conversations.<tools>[].score` or `system.functions[].return`; a parameter of any name is `*`.
    """
    said = spelled(path)
    if any(said == one or said.startswith((f"{one}.", f"{one}[")) for one in unused):
        return True
    last = {one.rpartition(".")[2].removesuffix("[]") for one in unused if _may_be_of(one, path)}
    return not last.isdisjoint(path) and (in_text(record, path) or any(".*." in one for one in unused))


def _may_be_of(one: str, path: Path) -> bool:
    return one.startswith((str(path[0]), "system.functions"))


def _same(one: Outcome, other: Outcome) -> bool:
    return (one.slots, one.ids, one.problem, one.made) == (other.slots, other.ids, other.problem, other.made)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return _FRESH if isinstance(value, str) else None


def _about(path: Path) -> str:
    """A path without its marks."""
    return ".".join("[]" if isinstance(step, int) else "*" if marks_of(step) else step for step in path)


def shape(problem: str) -> str:
    """A problem without what differs from record to record."""
    return re.sub(r"q\d{5}z|\d+", "#", problem)[:160]
