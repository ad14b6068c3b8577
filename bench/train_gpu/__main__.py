"""`make bench-train-gpu`: the trainer on a 24B base of Mistral-Small's exact shape, with made-up AWQ weights.

For each context length: tokens per second, the share of the GPU's measured matrix product that the model's
own operations take (4 N + 6 P a token and attention; what is computed again does not count), peak memory.
Plain PEFT on the dense base stands beside them. `--layers 2 --hidden 256 --vocabulary 1000 --contexts 128`
is a trial of the script itself, on any machine.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from bench.train_gpu import plain
from bench.train_gpu.made import make_base
from finetune.model.choice import device_name
from finetune.recipe import Lora

RESULTS = Path("bench/results/train-gpu.json")
STEPS, WARM = 6, 2
LONG = 16384
"""From here on two steps are timed, and one way of recomputing."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=5120)
    parser.add_argument("--vocabulary", type=int, default=131072)
    parser.add_argument("--contexts", type=int, nargs="+", default=[4096, 32768])
    parser.add_argument("--weights", choices=["packed", "dense"], nargs="+", default=["dense", "packed"])
    parser.add_argument("--recompute", choices=["fitting", "all"], nargs="+", default=["fitting", "all"])
    parser.add_argument("--no-plain", action="store_true", help="leave out the plain PEFT loop")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    measured: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as scratch:
        folder = Path(scratch) / "base"
        console.print(f"making a base of {given.layers} layers")
        make_base(folder, given.layers, given.hidden, given.vocabulary)
        peak = _peak()
        console.print(f"{device_name()}: matrix product {peak / 1e12:.1f} TFLOP/s")
        ways = [(weights, recompute) for weights in given.weights for recompute in given.recompute]
        for context in given.contexts:
            ids = _rows(context, given.vocabulary)[: STEPS if context < LONG else STEPS - 2]
            ways = [way for way in ways if context < LONG or way[1] == given.recompute[0]]
            jobs: list[Callable[[], dict[str, Any]]] = [
                partial(_measure, folder, ids, *way, peak, Path(scratch)) for way in ways
            ]
            jobs += [] if given.no_plain else [partial(plain.measure, folder, ids, Lora(), WARM)]
            for job in jobs:
                began = time.perf_counter()
                _clear()
                try:
                    row = {"context": context, **job()}
                except torch.OutOfMemoryError as error:
                    row = {"context": context, "failed": str(error)[:200]}
                measured.append(row | {"whole_seconds": round(time.perf_counter() - began, 1)})
                console.print(measured[-1])
                goals = _goals(measured)
                head = {"device": device_name(), "gemm_flops": peak}
                write(given.out, "make bench-train-gpu", [head, *measured], goals)
    show(console, "bench-train-gpu", goals)


def _goals(measured: list[dict[str, Any]]) -> list[Goal]:
    shares = [row["utilisation"] for row in measured if row["context"] == 4096 and "utilisation" in row]
    best = max(shares, default=0.0)
    return [Goal("utilisation at 4k", ">= 50%", f"{best:.0%}", best >= 0.5)]


def _rows(context: int, vocabulary: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    rows: list[list[int]] = torch.randint(2, vocabulary, (STEPS, context), generator=generator).tolist()
    return rows


def _clear() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak() -> float:
    """FLOP/s of the fastest of some matrix products in bfloat16."""
    device, best = ("cuda", 0.0) if torch.cuda.is_available() else ("cpu", 0.0)
    for size in (4096, 8192) if device == "cuda" else (1024,):
        left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
        for _ in range(8):
            _wait()
            started = time.perf_counter()
            left @ left
            _wait()
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _measure(
    folder: Path, ids: list[list[int]], weights: str, recompute: str, peak: float, scratch: Path
) -> dict[str, Any]:
    from datasets import Dataset

    from data.manifest import DatasetEntry
    from finetune.model import add_lora, load_base
    from finetune.model.choice import choose
    from finetune.model.recompute import KeepWhatFits
    from finetune.recipe import Recipe
    from finetune.training.assemble import assemble
    from finetune.training.rows import Rows
    from finetune.training.steps import InOrder
    from finetune.training.stopping import Stopping
    from finetune.training.workplace import Workplace

    told = Recipe.model_validate(
        {
            "name": "bench",
            "base": "made",
            "data": {"train": ["none"]},
            "train": {
                "steps": len(ids),
                "batch": 1,
                "micro_tokens": len(ids[0]),
                "learning_rate": 1e-4,
                "gradient_checkpointing": True if recompute == "all" else None,
            },
            "track": {"wandb": "off", "tensorboard": "off"},
        }
    )
    choice = choose(folder, weights)
    torch.manual_seed(told.train.seed)  # the matrices A of every way are the same, and so are its losses
    model = add_lora(load_base(folder, choice), told.lora)
    table = Dataset.from_list([{"input_ids": row, "labels": row, "where": ""} for row in ids])
    entry = DatasetEntry(digest="", sources=[], conversations=0, targets=0, tokens=0, learnt_tokens=0)
    context, work = len(ids[0]), Path(tempfile.mkdtemp(dir=scratch))
    place = Workplace(work, work / "adapter")
    found, plan = Rows(table, None, entry), InOrder(len(ids), 1)
    quiet = Console(stderr=True, quiet=True)
    with assemble(told, model, found, folder, place, quiet, Stopping(), plan) as trainer:
        trainer.go(None)
        keeping = [one for one in trainer.callback_handler.callbacks if isinstance(one, KeepWhatFits)]
    lines = place.measured()[WARM:]
    speed = statistics.median(line["tokens_per_second"] for line in lines)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    config = model.config
    layers = model.get_base_model().model.layers
    linear = sum(
        module.in_features * module.out_features
        for name, module in layers.named_modules()
        if name.endswith("base_layer")
    )
    frozen = linear + config.vocab_size * config.hidden_size
    # Scores and weighted values, causal, forward and twice that backward.
    attention = 6 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * context
    operations = 4 * frozen + 6 * trained + attention
    return {
        "weights": str(choice),
        "recompute": recompute,
        "why": choice.why,
        "frozen": frozen,
        "trained": trained,
        "tokens_per_second": round(speed, 1),
        "utilisation": speed * operations / peak,
        "layers_kept": keeping[0].kept if keeping else None,
        "memory_gb": lines[-1]["memory_gb"],
        "losses": [line["loss"] for line in place.measured()],
    }


if __name__ == "__main__":
    run(main, console)
