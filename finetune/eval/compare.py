"""`finetune compare`: the models of many reports beside each other, over the questions that they share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from data import digest, phrases
from data.errors import UserError
from data.report import Difference, EvalReport, Metric, Sample, Served, read_report
from finetune.eval import console, html, metrics
from finetune.pages import write


@dataclass(frozen=True)
class Entry:
    """A model of a report; `label` is unlike that of any other."""

    label: str
    served: Served
    report: EvalReport


@dataclass(frozen=True)
class Comparison:
    entries: list[Entry]
    repeated: list[str]
    """What an earlier report has already: the same weights, asked the same suite."""
    metrics: list[Metric]
    differences: list[Difference]
    """Of every other entry against `against`."""
    against: str

    @property
    def suites(self) -> list[str]:
        return list(dict.fromkeys(entry.report.suite.digest for entry in self.entries))


def compare(paths: Sequence[Path], page: Path | None = None, against: str | None = None) -> Comparison:
    """Print the comparison, and write it as a page. UserError where there is nothing to compare."""
    found = comparison(paths, against)
    terminal = Console()
    names = [entry.label for entry in found.entries]
    whole = [one for one in found.differences if one.category is None]
    title = ", ".join(dict.fromkeys(entry.report.suite.name for entry in found.entries))
    console.show(terminal, title, names, found.metrics, whole)
    for note in notes(found):
        terminal.print(note, soft_wrap=True)
    if page is not None:
        template = html.page_environment().get_template("compare.html.j2")
        context = {
            "found": found,
            "title": title,
            "notes": notes(found),
            "measures": phrases.MEASURES,
            "categories": html.categories(found.metrics),
            "perplexities": [
                one for one in found.metrics if one.measure == "perplexity" and not one.category
            ],
        }
        write(page, template.render(context))
        terminal.print(f"Page: {page}", soft_wrap=True)
    return found


def comparison(paths: Sequence[Path], against: str | None = None) -> Comparison:
    """Of all models of all reports with the one that is labelled `against`, by default the first."""
    entries, repeated = _entries(paths)
    if len(entries) < 2:
        raise UserError(
            f"there is one model to compare ({entries[0].label}); give more reports, or one with more models."
        )
    samples = _merged(entries)
    names = [entry.label for entry in entries]
    reference = names[0] if against is None else against
    if reference not in names:
        raise UserError(f"there is no {reference!r} to compare with; there are {', '.join(names)}.")
    seed = int(entries[0].report.suite.config.get("seed", 0))
    return Comparison(
        entries=entries,
        repeated=repeated,
        metrics=metrics.metrics(samples, names, seed),
        differences=[
            metrics.difference(name, reference, group, seed)
            for group in metrics.groups(samples)
            for name in names
            if name != reference
        ],
        against=reference,
    )


def notes(found: Comparison) -> list[str]:
    said = [f"{label} left out: the same weights and suite as an earlier one." for label in found.repeated]
    if len(found.suites) > 1:
        said.append(
            f"{len(found.suites)} different suites or states of their data: a value is over what its own "
            "report asked, a difference over the questions that both asked."
        )
    return said


def _entries(paths: Sequence[Path]) -> tuple[list[Entry], list[str]]:
    known: set[str] = set()
    entries, repeated = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        report = read_report(path)
        for served in report.models:
            label = f"{name}/{served.name}" if len(paths) > 1 else served.name
            identity = served.weights or f"{report.endpoint} {served.model} {path}"
            if (key := f"{report.suite.digest} {identity}") in known:
                repeated.append(label)
            else:
                entries.append(Entry(label, served, report))
            known.add(key)
    return entries, repeated


def _names(paths: Sequence[Path]) -> list[str]:
    """As much of each path's end as tells it from the others."""
    folders = [(path.parent if path.suffix == ".json" else path).absolute().parts for path in paths]
    if len(set(folders)) < len(folders):
        raise UserError("one report is named twice; name each once.")
    for length in range(1, max(map(len, folders))):
        names = ["/".join(parts[-length:]) for parts in folders]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _merged(entries: Sequence[Entry]) -> list[Sample]:
    """Each question once, with the results of all entries that were asked it."""
    questions: dict[str, Sample] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for entry in entries:
        for sample in entry.report.samples:
            kind, label = kinds.setdefault(sample.task, (sample.kind, entry.label))
            if kind != sample.kind:
                raise UserError(
                    f"task {sample.task!r} is of kind {kind} for {label} and {sample.kind} for "
                    f"{entry.label}; rename it in one of the suites."
                )
            key = _identity(sample)
            known = questions.get(key)
            results = {**(known.results if known else {}), entry.label: sample.results[entry.served.name]}
            questions[key] = sample.model_copy(update={"results": results})
    return list(questions.values())


def _identity(sample: Sample) -> str:
    """The same for the same question: a sample that was edited since is another one."""
    return digest.of_bytes(json.dumps(sample.model_dump(mode="json", exclude={"results"})).encode())
