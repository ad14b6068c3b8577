"""One run of this trainer: `python -m bench.train.ours STREAM`; prints JSON."""

import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from rich.console import Console

from bench.train.measure import report
from bench.train.stream import BASE, BATCH, recipe, rows
from data.home import base_folder
from data.manifest import DatasetEntry, read_base
from finetune.model import add_lora, load_base
from finetune.model.allocator import keep_memory
from finetune.training.assemble import assemble
from finetune.training.rows import Rows
from finetune.training.steps import InOrder
from finetune.training.stopping import Stopping
from finetune.training.workplace import Workplace


def main(stream: str) -> None:
    keep_memory()
    folder = base_folder(BASE)
    table = Dataset.from_list(rows(stream))
    entry = DatasetEntry(digest="", sources=[], conversations=0, targets=0, tokens=0, learnt_tokens=0)
    with tempfile.TemporaryDirectory() as scratch:
        told = recipe(Path(scratch) / "adapter")
        torch.manual_seed(told.train.seed)
        model = add_lora(load_base(folder, fingerprint=read_base(folder).fingerprint), told.lora)
        place = Workplace(Path(scratch), Path(scratch) / "adapter")
        quiet = Console(stderr=True)
        plan, found = InOrder(len(table), BATCH), Rows(table, None, entry)
        with assemble(told, model, found, folder, place, quiet, Stopping(), plan) as trainer:
            trainer.go(None)
        measured = place.measured()
    report(
        seconds=[line["tokens"] / line["tokens_per_second"] for line in measured],
        losses=[line["loss"] for line in measured],
        stream=stream,
        weights=f"dense {str(model.dtype).removeprefix('torch.')}",
    )


if __name__ == "__main__":
    main(sys.argv[1])
