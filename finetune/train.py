"""A training run, told once from recipe to adapter."""

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from data.errors import UserError, shown
from data.manifest import BaseManifest, DatasetEntry, read_base
from data.probes import FILE as PROBES
from finetune.base.resolve import find
from finetune.intake import BAD, SKIPPED
from finetune.kinds import Kind, check
from finetune.progress import steps
from finetune.quiet import quiet
from finetune.recipe import Recipe
from finetune.training import processes
from finetune.training.workplace import Workplace, unfinished, workplace

_KEYS = 12
"""Of keys that said nothing, so many are named; the manifest has more."""


def train(recipe: Recipe, *, restart: bool = False, resume: bool = False) -> Path:
    """Run `recipe` to its end; returns the adapter's folder, which appears only when all in it is whole.

    A run that was interrupted goes on from its last good checkpoint. `restart` forgets it; `resume` wants
    there to be one. UserError for everything that a person can put right, SystemExit after a signal.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would tell the hub of each run
    if resume:
        must_be_unfinished(recipe)
    folder = find(recipe.base.name)
    base = read_base(folder)
    for source in recipe.data.train:  # what a first record shows is said before the base is loaded
        if not source.path.startswith("hf:"):
            kind: Kind = "preference" if recipe.method == "dpo" else "conversation"
            check(source, kind, frozenset(recipe.data.ignore))
    with workplace(recipe, restart) as place:
        place.own(base=base.fingerprint)
        with quiet(place.log) as console:
            console.quiet = not processes.first()
            _run(recipe, base, folder, place, console)
    return recipe.folder


def must_be_unfinished(recipe: Recipe) -> None:
    """UserError where there is no run of `recipe` to go on with."""
    if not unfinished(recipe.folder).is_dir():
        raise UserError(
            f"there is no unfinished run at {unfinished(recipe.folder)}; begin one with `finetune train`."
        )


def _run(recipe: Recipe, base: BaseManifest, folder: Path, place: Workplace, console: Console) -> None:
    first = processes.first()
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside,
        steps("preparing", total=1, console=console) as step,
    ):
        step("the base is loaded and the data rendered")
        from finetune.training import rows as tables

        # The rows are made in a process of their own while this one loads the base.
        made = aside.submit(tables.make, recipe, folder, base, place.folder / "rows") if first else None

        import torch

        from finetune import model as models
        from finetune.model.allocator import keep_memory
        from finetune.model.choice import choose, fastest_dtype

        processes.begin()
        keep_memory()
        torch.manual_seed(recipe.train.seed)
        if first and place.fact("dtype") is None:
            place.note(dtype=str(fastest_dtype()).removeprefix("torch."))
        processes.wait()
        # One for all processes and sittings: on a busy machine, timing it again may give the other.
        weights = choose(folder, recipe.base.weights, getattr(torch, place.fact("dtype")))
        model = models.add_lora(models.load_base(folder, weights, fingerprint=base.fingerprint), recipe.lora)
        if made is not None:
            place.note(rows=str(made.result()))
        processes.wait()
        rows = tables.load(Path(place.fact("rows")))
    place.own(dataset=rows.entry.digest)
    console.print(f"recipe   {recipe.name}: rank {recipe.lora.r} on {', '.join(recipe.lora.targets)}")
    console.print(f"base     {base.name} {base.fingerprint[:19]}", highlight=False)
    console.print(_counted(recipe, rows.entry), highlight=False)
    if first and rows.skipped is not None:
        shutil.copyfile(rows.skipped, place.folder / SKIPPED)
    for line in _left_out(rows.entry, place.folder / SKIPPED):
        console.print(line, highlight=False)
    console.print(f"weights  {weights} ({weights.why})", highlight=False)

    from finetune.export import export
    from finetune.training import checkpoint
    from finetune.training.answers import Answers
    from finetune.training.assemble import assemble, facts_of
    from finetune.training.probes import probe
    from finetune.training.stopping import listening
    from finetune.training.trainer import load_adapter
    from finetune.training_report.page import write

    answers = Answers(recipe, model, rows, folder, place)
    with listening() as stopping, assemble(recipe, model, rows, folder, place, console, stopping) as trainer:
        trainer.run.check()
        console.print("         gradients reach every adapter matrix")
        with steps("asking the base", total=1, console=console) as step:
            step("what it answers before training, for the report")
            answers.before()
        found, refused = checkpoint.newest(place.checkpoints)
        for reason in refused:
            console.print(reason, highlight=False)
        place.rewind(found)
        if found is not None:
            console.print(f"resuming at step {found.step} of {len(trainer.run.steps)}", highlight=False)
        trainer.go(found)
    if trainer.stopped == "interrupted":
        done, planned = trainer.state.global_step, len(trainer.run.steps)
        console.print(f"stopped after step {done} of {planned}; the same command goes on", highlight=False)
        raise SystemExit(128 + stopping.signal)
    best = trainer.state.best_global_step
    if best is not None and best != trainer.state.global_step:
        console.print(f"the adapter of step {best} has the lowest held-out loss", highlight=False)
        load_adapter(model, checkpoint.folder_of(place.checkpoints, best))

    if first:
        adapter = place.folder / "adapter"
        facts = facts_of(trainer, place) | {"weights": str(weights), "device": models.device_name()}
        shutil.rmtree(adapter, ignore_errors=True)
        with steps("finishing", total=3, console=console) as step:
            step("the adapter's files")
            export(model, recipe, base, rows.entry, facts, adapter)
            place.keep(adapter)
            step("probes, which a server checks the adapter by")
            probes = probe(model, rows, answers.renderer, str(weights))
            (adapter / PROBES).write_text(probes.model_dump_json() + "\n", encoding="utf-8")
            step("what it answers now, and the report")
            write(adapter, answers.after())
            place.finish(adapter)
    processes.wait()
    said = f"; its {SKIPPED} names the records that were left out" if rows.skipped else ""
    console.print(f"adapter written to {recipe.folder}{said}", highlight=False)


def _counted(recipe: Recipe, entry: DatasetEntry) -> str:
    aside = f", {entry.heldout.conversations} held out" if entry.heldout else ""
    kinds = ("preferences", "pairs") if recipe.method == "dpo" else ("conversations", "answers")
    return (
        f"data     {entry.conversations} {kinds[0]}, {entry.targets} {kinds[1]},"
        f" {entry.learnt_tokens} of {entry.tokens} tokens learned{aside}"
    )


def _left_out(entry: DatasetEntry, skipped: Path) -> list[str]:
    """What of the data is not learned, and why: a line for rows and records, one for keys."""
    lines = []
    if entry.dropped:
        rows = ", ".join(f"{count:,} {reason}" for reason, count in entry.dropped.items())
        bad = f"; {skipped} names the records" if BAD & entry.dropped.keys() else ""
        lines.append(f"left out {rows}{bad}")
    if entry.unused:
        keys = ", ".join(f"{shown(key)} ({count:,})" for key, count in [*entry.unused.items()][:_KEYS])
        more = f" and {len(entry.unused) - _KEYS} more" if len(entry.unused) > _KEYS else ""
        lines.append(f"keys     that said nothing, and in how many records: {keys}{more}")
    return lines
