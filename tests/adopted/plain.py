"""Foreign adapters of a few hundred values for the tiny servers, made without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from serve.adopt.layout import BaseLayout, Heads
from tests.serve.tiny import CONFIG, RANK, WEIGHTS

MODULES = {
    f"model.layers.{layer}.{path}": shape
    for layer in range(2)
    for path, shape in {
        "self_attn.q_proj": (16, 24),
        "self_attn.k_proj": (16, 8),
        "mlp.down_proj": (32, 16),
    }.items()
}

LAYOUT = BaseLayout(
    name="tiny-awq",
    fingerprint="sha256:" + "0f" * 32,
    names=["tiny-awq", "grafters/Tiny"],
    modules=MODULES,
    heads=Heads(query=3, key=1),
    max_lora_rank=16,
)


def tensors(
    seed: int = 0, begin: str = "base_model.model.", end: str = ".weight", **ranks: int
) -> dict[str, Any]:
    """PEFT's matrices of every module; `q_proj=2` gives those another rank than 4."""
    random = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for module, (inputs, outputs) in MODULES.items():
        rank = ranks.get(module.rpartition(".")[2], RANK)
        made[f"{begin}{module}.lora_A{end}"] = random.normal(size=(rank, inputs)).astype("f4")
        made[f"{begin}{module}.lora_B{end}"] = random.normal(size=(outputs, rank)).astype("f4")
    return made


def config(**changes: Any) -> dict[str, Any]:
    plain = {
        "peft_type": "LORA",
        "base_model_name_or_path": "grafters/Tiny",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "k_proj", "down_proj"],
        "task_type": "CAUSAL_LM",
    }
    return plain | changes


def write(folder: Path, values: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A PEFT folder as a trainer leaves it: no manifest, and a tokenizer beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: np.ascontiguousarray(value) for name, value in (values or tensors()).items()}
    save_file(kept, folder / WEIGHTS, {"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config(**changes)))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "training_args.bin").write_bytes(b"\x80\x04]\x94.")
    return folder
