"""Many records of every format through the readers, and what came of them."""

import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bench.fuzz_data.case import Case
from bench.fuzz_data.formats import FORMATS
from bench.fuzz_data.marks import Mint, plain
from bench.fuzz_data.mutations import Change, mutate
from bench.fuzz_data.oracle import Again, Fault, judge, sentence, unaccounted
from bench.fuzz_data.outcome import Outcome, outcome
from data import preference, rules
from data.chat import Conversation
from data.formats import FORMATS as NAMES

Read = Callable[..., Outcome]
"""The reader under test, called as `outcome` is."""

_ADVICE = re.compile(r'data\.ignore: \[(?:"([^"]+)"|([^\]]+))\]')


@dataclass(frozen=True)
class Example:
    """One fault, and all that is needed to see it again."""

    format: str
    seed: str
    fault: Fault
    changes: tuple[str, ...]
    record: Any
    said: str

    def __str__(self) -> str:
        return f"{self.format} [{self.seed}] {self.fault}; {'; '.join(self.changes) or 'unchanged'}"


@dataclass
class Tally:
    """What came of the records of one format."""

    records: int = 0
    changed: int = 0
    taken: int = 0
    listed: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Example] = field(default_factory=dict)
    sentences: set[str] = field(default_factory=set)


def fuzz(name: str, count: int, seed: int, read: Read = outcome) -> Tally:
    """`count` records of the format `name`, changed as the seed has it, through `read`."""
    tally = Tally()
    for number in range(count):
        for example in one(name, f"{seed}:{name}:{number}", tally, read):
            key = str(example.fault)
            tally.faults[key] += 1
            tally.examples.setdefault(key, example)
    return tally


def one(name: str, seed: str, tally: Tally, read: Read = outcome) -> Iterator[Example]:
    """The faults of the one record that follows from `seed`."""
    mint = Mint(Random(seed))
    case = FORMATS[name](mint)
    record, changes = mutate(mint, case.record)
    tally.records += 1
    tally.changed += bool(changes)
    written = plain(record)
    try:
        found = read(written, case.reader, case.named)
        if found.problem is not None:
            tally.refused += 1
            tally.sentences.add(found.problem)
        else:
            tally.taken += 1
            tally.listed += bool(found.unused)
        faults = judge(case, record, changes, found, _again(case, read), _sound(case, changes, found, read))
        faults += _advice(case, written, found, read)
        check(found)
        if not changes:
            faults += [*_other_reader(case, written, read), *_other_formats(case, record, written, read)]
        said = found.problem or f"taken; listed: {', '.join(found.unused) or 'nothing'}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        faults = [Fault("traceback", f"{type(error).__name__} at {last.name}:{last.lineno}")]
        said = str(error)
    for fault in faults:
        yield Example(name, seed, fault, tuple(map(str, changes)), written, said)


def check(found: Outcome) -> None:
    """Apply the rules to what was read: whatever they find, they find without a traceback."""
    if isinstance(found.made, Conversation):
        rules.problems(found.made)
    elif found.made is not None:
        preference.problems(found.made)


def _again(case: Case, read: Read) -> Again:
    return lambda value: read(value, case.reader, case.named)


def _sound(case: Case, changes: list[Change], found: Outcome, read: Read) -> bool:
    """Whether the unchanged record is taken; asked only where something was refused."""
    if found.problem is None or not changes:
        return True
    return read(plain(case.record), case.reader, case.named).problem is None


def _other_formats(case: Case, record: Any, written: Any, read: Read) -> Iterator[Fault]:
    """A format that a recipe names by mistake refuses the record, or reads it with all its leaves."""
    for name in NAMES if case.reader == "chat" else ():
        found = read(written, case.reader, name)
        check(found)
        if found.problem is not None:
            yield from (Fault(one.kind, f"{one.about}, named {name}") for one in sentence(found.problem))
        else:
            yield from (Fault("lost", f"{about}, named {name}") for about in unaccounted(record, found))


def _advice(case: Case, written: Any, found: Outcome, read: Read) -> list[Fault]:
    """A refusal that says how to pass a key over is right: it is read then, or a next key is named."""
    match = _ADVICE.search(found.problem or "")
    if match is None:
        return []
    path = match[1] or match[2]
    again = read(written, case.reader, case.named, frozenset({path}))
    if again.problem is None:
        return [] if path in again.unused else [Fault("advice", f"{path} is passed over, but not listed")]
    return [Fault("advice", "data.ignore as the refusal says")] if again.problem == found.problem else []


def _other_reader(case: Case, written: Any, read: Read) -> list[Fault]:
    """A preference is no conversation to learn, and no conversation is a preference."""
    if case.reader == "preference":
        taken = read(written, "chat", None).slots
        return [Fault("learned", "a preference, as a conversation")] if taken is not None else []
    taken = read(written, "preference", None).slots
    return [Fault("learned", "a conversation, as a preference")] if taken is not None else []
