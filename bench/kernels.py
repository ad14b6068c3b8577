"""`python -m bench.kernels`: a training step on this CPU, ours beside a plain one of transformers and PEFT.

The same conversations, base, rank and dtype in one process, in turn; medians of several rounds, after one
round that is not counted. The plain step pads each batch and runs PEFT's layers and torch's attention under
autocast, with the loss over all positions, as a trainer does by default. Only real tokens are counted.
"""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench.results import Goal, show, write
from data.formats import read
from data.home import base_folder
from finetune.allocator import keep_memory
from finetune.model import add_lora, load_base
from finetune.recipe import Lora
from finetune.render import Sample, open_renderer
from finetune.trainer import IGNORED, collate, labelled, token_losses

COMMAND = "python -m bench.kernels"
OUT = Path("bench/results/kernels.json")
BASE = "smollm2-135m-instruct-awq"
ROUNDS, STEPS, BATCH = 3, 6, 4


def main() -> None:
    keep_memory()
    folder = base_folder(BASE)
    renderer = open_renderer(folder)
    rows = [row for chat in read(Path("data/samples/train.jsonl")) for row in renderer.samples(chat)]
    chosen = random.Random(0).sample(rows, STEPS * BATCH)
    batches = [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
    steps = {"enxerto": _ours(folder), "transformers and PEFT": _plain(folder)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            for batch in batches:
                step(batch)
            seconds[name].append(time.perf_counter() - started)
    tokens = sum(len(row.input_ids) for row in chosen)
    table: list[dict[str, Any]] = [
        {"step": name, "tokens": tokens, "tokens_per_s": round(tokens / statistics.median(taken[1:]))}
        for name, taken in seconds.items()
    ]
    ratio = table[0]["tokens_per_s"] / table[1]["tokens_per_s"]
    goals = [Goal("tokens per second, enxerto / plain", ">= 1.5", f"{ratio:.2f}", ratio >= 1.5)]
    write(OUT, COMMAND, table, goals)
    show(Console(), "A training step on this CPU", goals)


def _ours(folder: Path) -> Callable[[list[Sample]], None]:
    model = add_lora(load_base(folder, "dense"), Lora()).train()

    def step(batch: list[Sample]) -> None:
        token_losses(model, **collate([labelled(row) for row in batch])).mean().backward()

    return step


def _plain(folder: Path) -> Callable[[list[Sample]], None]:
    from peft import LoraConfig, get_peft_model

    base = load_base(folder, "dense")
    base.set_attn_implementation("sdpa")
    lora = Lora()
    config = LoraConfig(r=lora.r, lora_alpha=lora.alpha, target_modules=lora.targets, task_type="CAUSAL_LM")  # type: ignore[arg-type]
    model: Any = get_peft_model(base, config).train()
    half = base.dtype == torch.bfloat16

    def step(batch: list[Sample]) -> None:
        width = max(len(row.input_ids) for row in batch)

        def padded(key: str, filler: int) -> torch.Tensor:
            values = [labelled(row)[key] for row in batch]
            return torch.tensor([value + [filler] * (width - len(value)) for value in values])

        mask = torch.tensor([[1] * len(r.input_ids) + [0] * (width - len(r.input_ids)) for r in batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = model(
                input_ids=padded("input_ids", 0), attention_mask=mask, labels=padded("labels", IGNORED)
            )
        output.loss.backward()

    return step


if __name__ == "__main__":
    main()
