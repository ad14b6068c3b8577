"""`finetune export`: check everything first, then write the whole output or none of it."""

from pathlib import Path

from rich.console import Console
from rich.filesize import decimal

from data.errors import UserError
from finetune.disk import need
from finetune.leave.formats import known
from finetune.leave.source import Source, open_source
from finetune.progress import steps
from finetune.staging import staging


def leave(
    adapter: Path,
    to: str,
    out: Path,
    base: str | None = None,
    report: Path | None = None,
    push: str | None = None,
) -> None:
    """Write the adapter in the folder `adapter` as `to` at `out`; UserError before anything is written.

    `report` (of an evaluation) and `push` (a repository's owner/name) are for `hub`.
    """
    _check(to, report, push)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already; remove it, or give another --out.")
    if push:
        from finetune.leave import upload

        upload.check(push)
    source = open_source(adapter, base)
    console = Console(stderr=True, soft_wrap=True)
    if to == "hub":
        needed, note = _hub(source, out, console, report, push)
    else:
        needed, note = (_merged if to == "merged" else _gguf_lora)(source, out, console)
    console.print(f"{source.manifest.name} written to {out}, {decimal(needed)}", highlight=False)
    console.print(note, highlight=False)
    if push:
        console.print(f"uploading to {push}", highlight=False)
        console.print(upload.upload(out, push, f"{source.manifest.name}, by enxerto"), highlight=False)


def _check(to: str, report: Path | None, push: str | None) -> None:
    """UserError for a format that is none, and for options that it does not take."""
    known(to)
    for option, value in (("--report", report), ("--push", push)):
        if value is not None and to != "hub":
            raise UserError(f"{option} is for --to hub, and --to {to} was given; leave one of them out.")


def _merged(source: Source, out: Path, console: Console) -> tuple[int, str]:
    from finetune.leave import merged

    groups, needed = merged.shards(source.shapes), merged.size(source)
    need(out.parent, needed, str(out), "give an --out on another disk")
    with staging(out) as stage, steps("merging", total=len(groups), console=console) as step:
        merged.write(source, groups, stage, step)
    return needed, merged.NOTE


def _gguf_lora(source: Source, out: Path, console: Console) -> tuple[int, str]:
    from finetune.leave import gguf_lora

    gguf_lora.check(source)
    needed = gguf_lora.size(source)
    need(out.parent, needed, str(out), "give an --out on another disk")
    out.parent.mkdir(parents=True, exist_ok=True)
    with steps("converting", total=1, console=console) as step:
        step(f"{len(source.modules)} pairs of matrices into {out.name}")
        gguf_lora.write(source, out, step)
    return needed, gguf_lora.NOTE


def _hub(
    source: Source, out: Path, console: Console, report: Path | None, push: str | None
) -> tuple[int, str]:
    from finetune.leave import hub

    found = hub.evidence(source, report)
    needed = hub.size(source)
    need(out.parent, needed, str(out), "give an --out on another disk")
    with staging(out) as stage, steps("writing", total=len(hub.kept(source)) + 1, console=console) as step:
        hub.write(source, found, push, stage, step)
    return needed, hub.NOTE
