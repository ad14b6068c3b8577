"""`make bench-train-gpu`: the trainer on a 24B base of Mistral-Small's exact shape, with made-up AWQ weights.

For each context length: tokens per second, the share of the GPU's measured matrix product that the model's
own operations take (4 N + 6 P a token and attention; what is computed again does not count), peak memory.
`--layers 2 --hidden 256 --vocabulary 1000 --contexts 128` is a trial of the script itself, on any machine.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import save_file

from bench.command import run
from bench.results import Goal, show, write
from finetune.model.choice import device_name

RESULTS = Path("bench/results/train-gpu.json")
STEPS, WARM = 6, 2

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=5120)
    parser.add_argument("--vocabulary", type=int, default=131072)
    parser.add_argument("--contexts", type=int, nargs="+", default=[4096, 32768])
    parser.add_argument("--weights", choices=["auto", "packed", "dense"], default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as scratch:
        folder = Path(scratch) / "base"
        console.print(f"making a base of {given.layers} layers")
        make_base(folder, given.layers, given.hidden, given.vocabulary)
        peak = _peak()
        console.print(f"{device_name()}: matrix product {peak / 1e12:.1f} TFLOP/s")
        rows = [_measure(folder, context, given.weights, peak, Path(scratch)) for context in given.contexts]
    goals = []
    for row in rows:
        console.print(row)
        if row["context"] == 4096:
            share = row["utilisation"]
            goals.append(Goal("utilisation at 4k packed", ">= 50%", f"{share:.0%}", share >= 0.5))
    write(given.out, "make bench-train-gpu", [{"device": device_name(), "gemm_flops": peak}, *rows], goals)
    show(console, "bench-train-gpu", goals)


def make_base(folder: Path, layers: int, hidden: int, vocabulary: int) -> None:
    """An AWQ checkpoint of MistralForCausalLM, one file a layer; its answers mean nothing."""
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wide, heads = hidden * 32 // 5 if hidden == 5120 else 2 * hidden, max(1, hidden // 160)
    config = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 4),
        "head_dim": 128,
        "vocab_size": vocabulary,
        "max_position_embeddings": 32768,
        "rope_theta": 100000000.0,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "quantization_config": {
            "quant_method": "awq",
            "bits": 4,
            "group_size": 128,
            "version": "gemm",
            "zero_point": True,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    queries, keys = heads * 128, max(1, heads // 4) * 128
    shapes = {
        "self_attn.q_proj": (hidden, queries),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (queries, hidden),
        "mlp.gate_proj": (hidden, wide),
        "mlp.up_proj": (hidden, wide),
        "mlp.down_proj": (wide, hidden),
    }
    for number in range(layers):
        tensors: dict[str, torch.Tensor] = {}
        for name, (inputs, outputs) in shapes.items():
            place = f"model.layers.{number}.{name}"
            words = torch.randint(-(2**31), 2**31, (inputs, outputs // 8), device=device, dtype=torch.int64)
            tensors[f"{place}.qweight"] = words.int()
            zeros = torch.full((inputs // 128, outputs // 8), 0x77777777, dtype=torch.int32)
            tensors[f"{place}.qzeros"] = zeros
            tensors[f"{place}.scales"] = torch.full(
                (inputs // 128, outputs), 0.2 / inputs**0.5, dtype=torch.float16
            )
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{number}.{name}.weight"] = torch.ones(hidden, dtype=torch.float16)
        save_file(tensors, folder / f"layer-{number:02d}.safetensors")
    table = torch.randn(vocabulary, hidden, device=device).mul_(0.02).half()
    ends = {
        "model.embed_tokens.weight": table,
        "lm_head.weight": table.flip(0).contiguous(),
        "model.norm.weight": torch.ones(hidden, dtype=torch.float16),
    }
    save_file(ends, folder / "ends.safetensors")
    PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), eos_token="</s>").save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    return Tokenizer(WordLevel({"</s>": 0, "a": 1}, unk_token="a"))


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


def _measure(folder: Path, context: int, weights: str, peak: float, scratch: Path) -> dict[str, Any]:
    from datasets import Dataset

    from data.manifest import DatasetEntry
    from finetune.model import add_lora, load_base
    from finetune.model.choice import choose
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
            "train": {"steps": STEPS, "batch": 1, "micro_tokens": context, "learning_rate": 1e-4},
            "track": {"wandb": "off", "tensorboard": "off"},
        }
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    choice = choose(folder, weights)
    model = add_lora(load_base(folder, choice), told.lora)
    vocabulary = model.config.vocab_size
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(2, vocabulary, (STEPS, context), generator=generator).tolist()
    table = Dataset.from_list([{"input_ids": ids, "labels": ids, "where": ""} for ids in rows])
    entry = DatasetEntry(digest="", sources=[], conversations=0, targets=0, tokens=0, learnt_tokens=0)
    work = scratch / f"run-{context}"
    work.mkdir()
    place = Workplace(work, work / "adapter")
    found, plan = Rows(table, None, entry), InOrder(STEPS, 1)
    quiet = Console(stderr=True, quiet=True)
    with assemble(told, model, found, folder, place, quiet, Stopping(), plan) as trainer:
        trainer.go(None)
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
    frozen = linear + vocabulary * config.hidden_size
    # Scores and weighted values, causal, forward and twice that backward.
    attention = 6 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * context
    operations = 4 * frozen + 6 * trained + attention
    return {
        "context": context,
        "weights": str(choice),
        "why": choice.why,
        "frozen": frozen,
        "trained": trained,
        "tokens_per_second": round(speed, 1),
        "utilisation": speed * operations / peak,
        "memory_gb": lines[-1]["memory_gb"],
        "losses": [line["loss"] for line in place.measured()],
    }


if __name__ == "__main__":
    run(main, console)
