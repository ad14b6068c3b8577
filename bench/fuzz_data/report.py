"""The data half of `make fuzz`: rows and goals of a campaign over every format, and its faults in words."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.fuzz_data import containers
from bench.fuzz_data.campaign import Example, Tally, fuzz
from bench.fuzz_data.formats import FORMATS
from bench.fuzz_data.marks import Mint, plain
from bench.fuzz_data.masks import masks
from bench.fuzz_data.mutations import mutate
from bench.fuzz_data.outcome import outcome
from bench.results import Goal
from finetune.render import Renderer


@dataclass
class Report:
    """What a campaign found; `rows` and `goals` are what its results file holds."""

    tallies: dict[str, Tally]
    contained: int = 0
    rendered: int = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "format": name,
                "records": tally.records,
                "changed": tally.changed,
                "taken": tally.taken,
                "taken_with_listed_keys": tally.listed,
                "refused": tally.refused,
                "kinds_of_sentence": len(tally.sentences),
                "faults": tally.faults.total(),
            }
            for name, tally in self.tallies.items()
        ]

    def goals(self, count: int) -> list[Goal]:
        least = min(tally.records for tally in self.tallies.values())
        found = {
            "tracebacks": ("traceback",),
            "leaves dropped, changed or misplaced without a word": ("lost", "changed", "landed"),
            "answers learned against the record's word": ("learned", "mask"),
            "refusals without key or place, with false advice, or no plain sentence": (
                "unnamed",
                "advice",
                "sentence",
            ),
            "valid records of the formats that README names, refused": ("refused",),
            "records that another container changes": ("container",),
        }
        counts = [(name, self._count(kinds)) for name, kinds in found.items()]
        return [
            Goal(
                f"records of each of {len(self.tallies)} formats", f">= {count}", str(least), least >= count
            ),
            *(Goal(name, "0", str(number), number == 0) for name, number in counts),
            Goal("records compared in other containers", "> 0", str(self.contained), self.contained > 0),
            Goal("records whose loss mask was read", "> 0", str(self.rendered), self.rendered > 0),
        ]

    def _count(self, kinds: tuple[str, ...]) -> int:
        return sum(
            number
            for tally in self.tallies.values()
            for about, number in tally.faults.items()
            if about.partition(":")[0] in kinds
        )

    def add(self, name: str, example: Example) -> None:
        self.tallies[name].faults[str(example.fault)] += 1
        self.tallies[name].examples.setdefault(str(example.fault), example)


def campaign(
    count: int, seed: int, renderer: Renderer, processes: int | None = None, batch: int = 64
) -> Report:
    """`count` records of every format; `batch` of each also in other containers, and some rendered."""
    names = list(FORMATS)
    if processes == 1:
        tallies = {name: fuzz(name, count, seed) for name in names}
    else:
        with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
            tallies = dict(zip(names, pool.map(fuzz, names, repeat(count), repeat(seed)), strict=True))
    report = Report(tallies)
    for name in names:
        _contained(report, name, seed, batch)
        _rendered(report, name, seed, renderer, max(count // 25, 4))
    return report


def written(report: Report) -> Iterator[str]:
    """Every kind of fault with its first record: seed, what was changed, record, answer."""
    for name, tally in report.tallies.items():
        for about, number in tally.faults.most_common():
            one = tally.examples[about]
            yield f"{name}: {number} x {about}"
            yield f"    seed {one.seed}; {'; '.join(one.changes) or 'unchanged'}"
            yield f"    {json.dumps(one.record, ensure_ascii=False)[:2000]}"
            yield f"    {one.said}"


def _contained(report: Report, name: str, seed: int, batch: int) -> None:
    mint = Mint(Random(f"{seed}:{name}:containers"))
    cases = [FORMATS[name](mint) for _ in range(batch)]
    records = [mutate(mint, case.record)[0] for case in cases]
    with TemporaryDirectory(prefix="enxerto-fuzz-") as folder:
        for of, found in (
            ("changed", containers.texts(Path(folder), cases, records)),
            ("valid", containers.table(Path(folder), cases)),
        ):
            for container, number, fault in found:
                where = f"{seed}:{name}:containers, {of} record {number}, {container}"
                record = plain(
                    (records if of == "changed" else [case.record for case in cases])[number % batch]
                )
                report.add(name, Example(name, where, fault, (), record, ""))
    report.contained += batch * (len(containers.TEXTS) + 1)


def _rendered(report: Report, name: str, seed: int, renderer: Renderer, count: int) -> None:
    for number in range(count):
        place = f"{seed}:{name}:masks:{number}"
        mint = Mint(Random(place))
        case = FORMATS[name](mint)
        record, changes = mutate(mint, case.record) if number % 2 else (case.record, [])
        found = outcome(plain(record), case.reader, case.named)
        if found.slots is None:
            continue
        report.rendered += 1
        for fault in masks(found, renderer):
            report.add(name, Example(name, place, fault, tuple(map(str, changes)), plain(record), "taken"))
