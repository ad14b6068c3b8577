"""`finetune export`: check everything first, then write the whole output or none of it."""

from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.filesize import decimal

from data.errors import UserError
from finetune.disk import need
from finetune.leave.source import open_source
from finetune.progress import steps
from finetune.staging import staging

Format = Literal["merged", "gguf-lora"]


def leave(adapter: Path, to: Format, out: Path, base: str | None = None) -> None:
    """Write the adapter in the folder `adapter` as `to` at `out`; UserError before anything is written."""
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already; remove it, or give another --out.")
    source = open_source(adapter, base)
    console = Console(stderr=True)
    if to == "merged":
        from finetune.leave import merged

        groups = merged.shards(source.shapes)
        needed, note = merged.size(source), merged.NOTE
        need(out.parent, needed, str(out), "give an --out on another disk")
        with staging(out) as stage, steps("merging", total=len(groups), console=console) as step:
            merged.write(source, groups, stage, step)
    else:
        from finetune.leave import gguf_lora

        gguf_lora.check(source)
        needed, note = gguf_lora.size(source), gguf_lora.NOTE
        need(out.parent, needed, str(out), "give an --out on another disk")
        out.parent.mkdir(parents=True, exist_ok=True)
        with steps("writing", total=1, console=console) as step:
            step(out.name)
            gguf_lora.write(source, out, step)
    console.print(f"{source.manifest.name} written to {out}, {decimal(needed)}", highlight=False)
    console.print(note, highlight=False)
