"""The report on the terminal: counts by source, then findings, each kind up to a readable number."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.validate.report import SHOWN, Report, Source
from finetune.validate.tally import SEVERITY, Tally

_ACROSS = 4
"""Sources side by side in one table; more get a table of their own."""

_ALWAYS = {
    "duplicate": "duplicates, exact",
    "near_duplicate": "duplicates, near",
    "overlap": "also trained on, exact",
    "near_overlap": "also trained on, near",
    "unanswered_call": "unanswered calls",
    "mapped_id": "call ids to map for Mistral",
    "role_order": "roles out of order",
    "empty_target": "empty targets",
    "secret": "probable secrets",
}
_HEADINGS = {
    "unreadable_source": "sources that cannot be read",
    "empty_source": "sources without records",
    "unreadable": "records that cannot be read",
    "not_renderable": "refused by the base's chat format",
    "limit": "limits of the recipe",
    "lora_targets": "targets that the base does not have",
    "lora_rank": "ranks above the server's",
    "too_long": "longer than data.max_length",
    "orphan_result": "results without a call",
    "duplicate_call_id": "call ids that stand twice",
    "reordered_results": "results in another order than calls",
    "tool_name": "names that no tool may have",
    "tool_schema": "broken tool schemas",
    "duplicate_tool": "tools defined twice",
    "unknown_tool": "calls of tools that are not offered",
    "invalid_arguments": "arguments that break their schema",
    "late_system": "system messages after a user's",
    "no_target": "conversations with nothing to learn",
    "empty_question": "empty questions",
    "call_as_text": "calls that are learned as words",
    "media_placeholder": "pictures, sound or films that are not there",
    **_ALWAYS,
}


def show(report: Report, console: Console, strict: bool, out: Path | None) -> None:
    """Print the counts, the findings and the verdict."""
    for start in range(0, len(report.sources), _ACROSS):
        console.print(_table(report, report.sources[start : start + _ACROSS]))
        console.print()
    if report.why:
        console.print(Text(f"Tokens are not counted: {_plain(report.why)}."), style="yellow")
        console.print()
    _findings(report, console, out)
    errors, warnings = report.findings.of("error"), report.findings.of("warning")
    said = f"{_many(errors, 'error')}, {_many(warnings, 'warning')}, in {report.seconds:.1f} s"
    if report.failed(strict):
        console.print(Text(f"failed: {said}"), style="bold red")
    else:
        console.print(Text(f"passed: {said}"), style="bold green")


def _table(report: Report, sources: list[Source]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column("", no_wrap=True)
    for source in sources:
        name = Text(_plain(source.name), overflow="fold")
        table.add_column(name + Text("\nheld out" if source.heldout else "", style="dim"), justify="right")

    def row(name: str, value: Callable[[Tally], int | None], style: str = "") -> None:
        counts = [value(source.tally) for source in sources]
        cells = ["not counted" if count is None else f"{count:,}" for count in counts]
        table.add_row(name, *(Text(cell, style="" if cell != "0" else "dim") for cell in cells), style=style)

    counted = report.base is not None
    kinds = {source.kind for source in sources}
    row(" and ".join(f"{kind}s" for kind in sorted(kinds)), lambda tally: tally.conversations)
    if any(source.tally.held_out for source in sources):
        row("held out by data.heldout", lambda tally: tally.held_out)
    if kinds != {"preference"}:
        row("targets", lambda tally: tally.targets)
    row("tokens", lambda tally: tally.tokens if counted else None)
    row("learnt tokens", lambda tally: tally.learnt_tokens if counted else None)
    row("with tools", lambda tally: tally.with_tools)
    row("different tools", lambda tally: len(tally.tools))
    for category in ("none", "single", "parallel", "multi_turn"):
        row(f"calls: {category.replace('_', '-')}", partial(_count, "categories", category))
    if any(source.tally.cut for source in sources):
        row(f"cut to {report.max_length} tokens", lambda tally: tally.cut)
    for reason in dict.fromkeys(reason for source in sources for reason in source.tally.dropped):
        row(f"left out: {reason}", partial(_count, "dropped", reason))
    for kind in _HEADINGS:
        seen = any(source.tally.found[kind] for source in sources)
        if seen or kind in _ALWAYS:
            row(_HEADINGS[kind], partial(_count, "found", kind), _style(kind) if seen else "")
    return table


def _count(counter: str, key: str, tally: Tally) -> int:
    counts: Counter[str] = getattr(tally, counter)
    return counts[key]


def _findings(report: Report, console: Console, out: Path | None) -> None:
    """Errors first, each kind under its heading with its first findings."""
    findings = report.findings
    for kind in sorted(findings.counts, key=lambda kind: (SEVERITY[kind] != "error", kind)):
        count = findings.counts[kind]
        console.print(Text(f"{SEVERITY[kind]}: {_HEADINGS[kind]} ({count:,})"), style=_style(kind))
        for finding in findings.first[kind]:
            console.print(Text(f"  {_plain(finding.where)}: {_plain(finding.message)}"), soft_wrap=True)
        if count > SHOWN:
            rest = f"{out} has them all" if out else "--json FILE writes them all"
            console.print(Text(f"  and {count - SHOWN:,} more; {rest}"), style="dim")
        console.print()


def _style(kind: str) -> str:
    return {"error": "red", "warning": "yellow", "note": ""}[SEVERITY[kind]]


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _plain(text: str) -> str:
    """Data must not steer the terminal: control characters and half surrogates are written as escapes."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
