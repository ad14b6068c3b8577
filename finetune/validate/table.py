"""The report on the terminal: counts by source, then findings, each kind up to a readable number."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.rules import Severity
from finetune.validate.report import ALIKE, Alike, Report, Source
from finetune.validate.tally import Tally

_ACROSS = 4
"""Sources side by side in one table; more get a table of their own."""

_HEADINGS = {
    "unreadable_source": "sources that cannot be read",
    "empty_source": "sources without records",
    "cut_off": "files that end before their end",
    "unreadable": "records that cannot be read",
    "role_order": "roles out of order",
    "orphan_result": "results without a call",
    "unanswered_call": "unanswered calls",
    "duplicate_call_id": "call ids that stand twice",
    "tool_name": "names that no tool may have",
    "tool_schema": "broken tool schemas",
    "not_renderable": "refused by the base's chat format",
    "lora_targets": "targets that the base does not have",
    "limit": "limits of the recipe",
    "too_long": "longer than data.max_length",
    "no_target": "conversations with nothing to learn",
    "empty_target": "empty targets",
    "empty_question": "empty questions",
    "call_as_text": "calls that are learned as words",
    "media_placeholder": "pictures, sound or films that are not there",
    "unknown_tool": "calls of tools that are not offered",
    "invalid_arguments": "arguments that break their schema",
    "duplicate_tool": "tools defined twice",
    "late_system": "system messages after a user's",
    "secret": "probable secrets",
    "duplicate": "duplicates, exact",
    "near_duplicate": "duplicates, near",
    "overlap": "also trained on, exact",
    "near_overlap": "also trained on, near",
    "lora_rank": "ranks above the server's",
    "reordered_results": "results in another order than calls",
    "mapped_id": "call ids to map for Mistral",
}
"""Every kind of finding, in the order in which people mend them: causes before what follows from them."""

_KEYS = 20
"""Of keys that said nothing, so many are named; `--json` has them all."""


def show(report: Report, console: Console, strict: bool, out: Path | None) -> None:
    """Print the counts, the findings and the verdict."""
    for start in range(0, len(report.sources), _ACROSS):
        console.print(_table(report, report.sources[start : start + _ACROSS]))
        console.print()
    _keys(report, console)
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

    def row(name: str, value: Callable[[Tally], int], style: str = "", always: bool = False) -> None:
        """A line of counts, where there is anything to count."""
        counts = [value(source.tally) for source in sources]
        if any(counts) or always:
            cells = (Text(f"{count:,}", style="" if count else "dim") for count in counts)
            table.add_row(name, *cells, style=style)

    kinds = {source.kind for source in sources}
    row(" and ".join(f"{kind}s" for kind in sorted(kinds)), lambda tally: tally.conversations, always=True)
    row("held out by data.heldout", lambda tally: tally.held_out)
    if kinds != {"preference"}:
        row("targets", lambda tally: tally.targets)
    if report.base is not None:
        row("tokens", lambda tally: tally.tokens)
        row("learned tokens", lambda tally: tally.learnt_tokens)
    row("with tools", lambda tally: tally.with_tools)
    row("different tools", lambda tally: len(tally.tools))
    for category in ("none", "single", "parallel", "multi_turn"):
        row(f"calls: {category.replace('_', '-')}", partial(_count, "categories", category))
    for what in dict.fromkeys(what for source in sources for what in source.tally.cut):
        row(what, partial(_count, "cut", what))
    for reason in dict.fromkeys(reason for source in sources for reason in source.tally.dropped):
        row(f"left out: {reason}", partial(_count, "dropped", reason))
    # What stands below with its places is counted here where several sources have it.
    counted = [
        kind for kind in _HEADINGS if len(report.sources) > 1 or report.findings.severity[kind] == "note"
    ]
    for kind in counted:
        row(_HEADINGS[kind], partial(_count, "found", kind), style=_style(report.findings.severity[kind]))
    return table


def _count(counter: str, key: str, tally: Tally) -> int:
    counts: Counter[str] = getattr(tally, counter)
    return counts[key]


def _keys(report: Report, console: Console) -> None:
    """Keys of records that say nothing to the model, each with the number of its records."""
    unused = sum((source.tally.unused for source in report.sources), Counter[str]())
    if not unused:
        return
    named = ", ".join(f"{_plain(key)} ({count:,})" for key, count in unused.most_common(_KEYS))
    more = f" and {len(unused) - _KEYS:,} more keys; --json FILE has them all" if len(unused) > _KEYS else ""
    console.print(Text(f"Keys that say nothing here, and in how many records: {named}{more}."), style="dim")
    console.print()


def _findings(report: Report, console: Console, out: Path | None) -> None:
    """Errors first, each kind under its heading, and what is said alike of many places once."""
    findings, order = report.findings, list(_HEADINGS)
    longest = max((source.tally.longest for source in report.sources), default=0)
    for kind in sorted(
        findings.counts, key=lambda one: (findings.severity[one] != "error", order.index(one))
    ):
        severity = findings.severity[kind]
        more = f"; the longest has {longest:,} tokens" if kind == "too_long" else ""
        heading = f"{severity}: {_HEADINGS[kind]} ({findings.counts[kind]:,}{more})"
        console.print(Text(heading), style=_style(severity))
        sorts = findings.sorts(kind)
        for alike in sorts[:ALIKE]:
            _alike(alike, console, out)
        if len(sorts) > ALIKE:
            rest = sum(alike.count for alike in sorts[ALIKE:])
            console.print(Text(f"  and {rest:,} other ones; {_rest(out)}"), style="dim")
        console.print()


def _alike(alike: Alike, console: Console, out: Path | None) -> None:
    """One finding whole, and where the others are that say the same."""
    first, *others = map(_plain, alike.places)
    console.print(Text(f"  {first}: {_plain(alike.first.message)}"), soft_wrap=True)
    if alike.count > 1:
        hidden = alike.count - 1 - len(others)
        more = f" and {hidden:,} more; {_rest(out)}" if hidden else ""
        console.print(Text(f"    also at {', '.join(others)}{more}"), style="dim", soft_wrap=True)


def _rest(out: Path | None) -> str:
    return f"{out} has them all" if out else "--json FILE writes them all"


def _style(severity: Severity) -> str:
    return {"error": "red", "warning": "yellow", "note": ""}[severity]


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _plain(text: str) -> str:
    """Data must not steer the terminal: control characters and half surrogates are written as escapes."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
