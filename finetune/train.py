"""A training run, told once from recipe to adapter."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from data.errors import UserError
from data.manifest import BaseManifest, read_base
from finetune.base.resolve import find
from finetune.dataset import Dataset, prepare
from finetune.quiet import quiet
from finetune.recipe import Recipe
from finetune.render import open_renderer
from finetune.staging import staging

LOG = "train.log"


def train(recipe: Recipe) -> Path:
    """Run `recipe`; returns the adapter's folder, which appears only when everything in it is whole."""
    if recipe.folder.exists():
        raise UserError(
            f"{recipe.folder} exists already; remove it, or give the recipe another `name` or `output`."
        )
    base_folder = find(recipe.base.name)
    base = read_base(base_folder)
    dataset = prepare(
        recipe.data.train,
        open_renderer(base_folder),
        recipe.data.max_length,
        learn=recipe.data.learn,
        mix_seed=recipe.data.mix_seed,
        heldout=recipe.data.heldout,
        split_seed=recipe.data.split_seed,
    )
    with staging(recipe.folder) as stage, quiet(stage / LOG) as console:
        _introduce(console, recipe, base, dataset)
        _run(recipe, base, base_folder, dataset, stage, console)
    return recipe.folder


def _run(
    recipe: Recipe, base: BaseManifest, base_folder: Path, dataset: Dataset, stage: Path, console: Console
) -> None:
    import torch

    from finetune.allocator import keep_memory
    from finetune.export import export
    from finetune.model import add_lora, check_gradients, load_base
    from finetune.track import Tracker, wandb_callback
    from finetune.trainer import Trainer, arguments, collate, optimizer, table

    keep_memory()
    torch.manual_seed(recipe.train.seed)
    model = add_lora(load_base(base_folder, recipe.base.weights), recipe.lora)
    check_gradients(model, min((row.input_ids for row in dataset.rows), key=len))
    console.print(f"weights  {str(model.dtype).removeprefix('torch.')}; gradients reach every adapter matrix")

    # On CPU the fused LoRA layers cast for themselves, and autocast would slow down all else.
    half = model.dtype == torch.bfloat16 and torch.cuda.is_available()
    settings = arguments(recipe.train, len(dataset.rows), str(stage / "trainer"), half)
    tokens_per_step = dataset.entry.tokens / len(dataset.rows) * recipe.train.batch
    tracker = Tracker(stage / "metrics.jsonl", tokens_per_step, console)
    trainer = Trainer(
        model=model,
        args=settings,
        train_dataset=table(dataset.rows),
        data_collator=collate,
        processing_class=_tokenizer(base_folder),
        optimizers=(optimizer(model, recipe.train, settings), None),
        callbacks=[tracker, *wandb_callback(recipe, stage)],
    )
    started = time.monotonic()
    result = trainer.train()
    facts = {
        "steps": result.global_step,
        "seconds": round(time.monotonic() - started, 1),
        "mean_loss": result.training_loss,
        "last": tracker.last,
    }
    export(model, recipe, base, dataset.entry, facts, stage)
    console.print(f"adapter written to {recipe.folder}", highlight=False)


def _introduce(console: Console, recipe: Recipe, base: BaseManifest, dataset: Dataset) -> None:
    entry = dataset.entry
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in entry.dropped.items())
    console.print(f"recipe   {recipe.name}: rank {recipe.lora.r} on {', '.join(recipe.lora.targets)}")
    console.print(f"base     {base.name} {base.fingerprint[:19]}", highlight=False)
    console.print(
        f"data     {entry.conversations} conversations, {entry.targets} answers,"
        f" {entry.learnt_tokens} of {entry.tokens} tokens learnt{dropped}",
        highlight=False,
    )


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
