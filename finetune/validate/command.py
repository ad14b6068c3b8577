"""`finetune validate` from the plan to the exit code."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from data.duplicates import Pair
from data.errors import UserError
from data.formats import raw
from finetune.intake import BAD
from finetune.kinds import check
from finetune.left_out import over, share
from finetune.validate import table
from finetune.validate.chunk import Chunk
from finetune.validate.places import Places
from finetune.validate.plan import Plan, plan
from finetune.validate.pool import CHUNK, examined
from finetune.validate.repeats import Repeats
from finetune.validate.report import Findings, Report, Source, write
from finetune.validate.sides import Sides
from finetune.validate.tally import SEVERITY, SKIPPING, Finding


def validate(given: list[str], heldout: list[str], base: str | None, strict: bool, out: Path | None) -> int:
    """Validate a recipe or sources, print the report, and write it to `out`. 0, or 2 when it fails."""
    chosen = plan(given, heldout, base)
    with closing(Findings(SKIPPING if chosen.settings.skip else SEVERITY)) as findings:
        report = examine(chosen, findings, Console(stderr=True))
        table.show(report, Console(highlight=False), strict, out)
        if out:
            try:
                write(report, out)
            except OSError as error:
                raise UserError(f"{out} cannot be written ({error.strerror}); give another path.") from None
        return 2 if report.failed(strict) else 0


def examine(chosen: Plan, findings: Findings, console: Console) -> Report:
    """Read and examine everything that the plan names; progress goes to `console`."""
    started = time.monotonic()
    report = Report(
        chosen.sources,
        findings,
        chosen.base.name if chosen.base else None,
        chosen.why,
        chosen.settings.max_length,
        chosen.limits.model_dump(),
    )
    for finding in chosen.findings:
        findings.add(finding)
    with ExitStack() as stack:
        places = stack.enter_context(closing(Places()))
        compares = any(source.kind == "preference" for source in chosen.sources)
        repeats = stack.enter_context(closing(Repeats(compares)))
        sides = Sides(chosen.sources, chosen.split)
        bar = stack.enter_context(_progress(console))
        task = bar.add_task("reading", total=None, rate="")
        chunks = _chunks(chosen.sources, findings, chosen.settings.ignore)
        # Closed here, not by the garbage collector, so that an interrupt ends the processes at once.
        results = stack.enter_context(closing(examined(chunks, chosen.settings)))
        for owner, result in results:
            source = chosen.sources[owner]
            source.tally.add(result.tally)
            for finding in result.findings:
                findings.add(finding)
            repeats.add(result)
            sides.add(owner, len(result.places), result.keys)
            for place in result.places:
                places.add(place)
            rate = len(sides) / max(time.monotonic() - started, 0.001)
            bar.update(task, completed=len(sides), rate=f"{rate:,.0f}/s")
        bar.update(task, description="comparing")
        for pair in repeats.pairs(chosen.limits.similarity, sides.heldout()):
            _repeated(pair, places, sides.source(pair.later), findings)
    _limits(report, chosen)
    report.seconds = time.monotonic() - started
    return report


def _chunks(sources: list[Source], findings: Findings, ignore: frozenset[str]) -> Iterator[tuple[int, Chunk]]:
    """The records of all sources in chunks, each of one source; an unreadable source becomes a finding."""
    for owner, source in enumerate(sources):
        chunk = Chunk([], source.format, source.kind)
        try:
            if source.given is not None:
                check(source.given, source.kind, ignore)
            for one in raw(source.at):
                chunk.records.append(one)
                if len(chunk.records) == CHUNK:
                    yield owner, chunk
                    chunk = Chunk([], source.format, source.kind)
        except UserError as error:
            reason = str(error).removeprefix(f"{source.name}: ")
            _found(findings, source, "unreadable_source", source.name, reason)
        if chunk.records:
            yield owner, chunk


def _repeated(pair: Pair, places: Places, source: Source, findings: Findings) -> None:
    """One finding for a record that repeats another one."""
    earlier = places[pair.earlier]
    what = f"the same as {earlier}" if pair.exact else f"about {pair.similarity:.0%} the same as {earlier}"
    if pair.overlap:
        kind = "overlap" if pair.exact else "near_overlap"
        message = f"held out, but {what}, which is trained on; take one of them out."
    else:
        kind = "duplicate" if pair.exact else "near_duplicate"
        message = f"{what}; keep one of them."
    _found(findings, source, kind, places[pair.later], message)


def _limits(report: Report, chosen: Plan) -> None:
    """Sources without a record, and shares above what the recipe allows."""
    for source in report.sources:
        if not source.tally.records and not source.tally.found["unreadable_source"]:
            message = f"it holds no {source.kind}; check it."
            _found(report.findings, source, "empty_source", source.name, message)
    trained, heldout = report.total(heldout=False), report.total(heldout=True)
    repeated = trained.found["duplicate"] + trained.found["near_duplicate"]
    known = sum(side.found["overlap"] + side.found["near_overlap"] for side in (trained, heldout))
    aside = heldout.conversations + trained.held_out

    def limit(message: str) -> None:
        report.findings.add(Finding("limit", "all sources", message))

    if chosen.split and trained.conversations and not trained.held_out:
        said = f"data.heldout is {chosen.split.share:g}, but no group fell to the held-out side"
        limit(f"{said}; raise it, set it to 0, or add data.")
    # Where a bad record stops training, its own finding says so, and it counts as no share of anything.
    left_out = Counter({
        reason: count
        for reason, count in trained.dropped.items()
        if chosen.settings.skip or reason not in BAD
    })  # fmt: skip
    if share(left_out, trained.rows) > chosen.limits.dropped:
        limit(over(left_out, trained.rows, chosen.limits.dropped, trained.longest))
    for name, found, what in (
        ("duplicates", repeated / max(trained.conversations, 1), f"of the {report.what} repeat another one"),
        ("overlap", known / max(aside, 1), f"of the held-out {report.what} are trained on"),
    ):
        allowed = getattr(chosen.limits, name)
        if found > allowed:
            limit(
                f"{found:.1%} {what}, and data.limits.{name} allows {allowed:.1%}; mend the data or raise it."
            )


def _found(findings: Findings, source: Source, kind: str, where: str, message: str) -> None:
    source.tally.found[kind] += 1
    findings.add(Finding(kind, where, message))


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}: {task.completed:,} records, {task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
