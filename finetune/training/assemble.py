"""Everything that a trainer is made of, put together from a recipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from finetune import disk
from finetune.model import check_gradients
from finetune.model.recompute import KeepWhatFits
from finetune.recipe import Recipe, Training
from finetune.training import objectives, processes
from finetune.training.plan import FILL, MICRO_TOKENS, Plan
from finetune.training.rows import Rows
from finetune.training.steps import InOrder, Steps
from finetune.training.stopping import Stopping
from finetune.training.track import Tracker, trackers
from finetune.training.trainer import Run, Trainer, arguments, checkpoint_size, optimizer
from finetune.training.workplace import Workplace

_EVALUATED = 16
"""Examples a step of an evaluation, over all processes."""


@contextmanager
def assemble(
    recipe: Recipe,
    model: Any,
    rows: Rows,
    folder: Path,
    place: Workplace,
    console: Console,
    stopping: Stopping,
    plan: Plan | None = None,
) -> Iterator[Trainer]:
    """A trainer of `recipe`; the terminal and the trackers are given back when the block ends.

    `plan` is the order of the rows where it is not to be the recipe's shuffled one.
    UserError when the disk has no room for the checkpoints.
    """
    settings, kind = recipe.train, "cuda" if torch.cuda.is_available() else "cpu"
    objective = objectives.objective(recipe)
    plan = plan or Plan(len(rows.train), settings.batch, settings.steps_for(len(rows.train)), settings.seed)
    heldout = InOrder(len(rows.heldout), _EVALUATED) if rows.heldout is not None else None
    args = arguments(settings, len(plan), place.folder / "trainer")

    def steps(table: Any, chosen: Plan) -> Steps:
        return Steps(
            table,
            objective,
            chosen,
            settings.micro_tokens or MICRO_TOKENS[kind],
            fill=FILL[kind],
            rank=processes.rank(),
            processes=processes.count(),
        )

    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    room = checkpoint_size(trained) * (settings.checkpoints.keep + 3)
    disk.need(place.folder, room, f"a run with {settings.checkpoints.keep} checkpoints and its adapter")
    shortest = min(rows.train.select(range(min(64, len(rows.train))))["input_ids"], key=len)
    tracker = Tracker(place, console, trackers(recipe, place) if processes.first() else [])
    run = Run(
        settings=settings,
        objective=objective,
        steps=steps(rows.train, plan),
        heldout=None if heldout is None else steps(rows.heldout, heldout),
        where=lambda row: str(rows.train[row]["where"]),
        check=lambda: check_gradients(model, shortest),
        say=tracker.evaluated,
        stopping=stopping,
        checkpoints=place.checkpoints,
    )
    trainer = Trainer(
        run,
        model=model,
        args=args,
        train_dataset=rows.train,
        data_collator=lambda items: items,
        processing_class=_tokenizer(folder),
        optimizers=(optimizer(model, settings, args), None),
        callbacks=[tracker, *_keeping(settings, model, rows)],
    )
    try:
        yield trainer
    finally:
        tracker.close()


def _keeping(settings: Training, model: Any, rows: Rows) -> list[Any]:
    """On a GPU whose recipe leaves it open, as many layers as fit keep their activations."""
    if not torch.cuda.is_available() or settings.gradient_checkpointing is not None:
        return []
    widest = max(rows.longest, settings.micro_tokens or MICRO_TOKENS["cuda"])
    return [KeepWhatFits(model, widest)]


def facts_of(trainer: Trainer, place: Workplace) -> dict[str, Any]:
    """What the manifest says of a finished run, all its sittings together."""
    rows = place.measured()
    steps = [row for row in rows if "loss" in row]
    return {
        "steps": trainer.state.global_step,
        "planned_steps": len(trainer.run.steps),
        "seconds": round(rows[-1]["seconds"], 1),
        "mean_loss": sum(row["loss"] for row in steps) / len(steps),
        "best_step": trainer.state.best_global_step,
        "stopped": trainer.stopped,
        "resumed_at": place.fact("resumed_at") or [],
        "wandb_run": place.fact("wandb_run"),
        "processes": processes.count(),
        "last": steps[-1],
    }


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
