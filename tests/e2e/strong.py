"""Adapters for the real base that change every answer, so that a mix-up cannot hide."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from serve.client.push import push as push_to
from tests.conftest import Server
from tests.serve.tiny import CONFIG, WEIGHTS, Base, sign

RANK = 16
STRENGTH = 0.15
"""Of B's values where A's have length 1: every answer is another one. More would magnify rounding, too."""


def push(server: Server, folder: Path, name: str, seed: int) -> None:
    """Make an adapter, another one for another seed, and push it under the alias `default`."""
    make(folder / name, server, seed)
    push_to(folder / name, name, ["default"], server.url)


def make(folder: Path, server: Server, seed: int) -> None:
    """Random weights on every linear layer of the decoder."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for module, (inputs, outputs) in _linear_layers(server.folder).items():
        name = f"base_model.model.{module}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, inputs, generator=random) / inputs**0.5
        tensors[f"{name}.lora_B.weight"] = torch.randn(outputs, RANK, generator=random) * STRENGTH
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": sorted({module.rpartition(".")[2] for module in _linear_layers(server.folder)}),
        "bias": "none",
    }
    (folder / CONFIG).write_text(json.dumps(config))
    sign(folder, Base(server.folder, server.base), server.base.identity.renderer)


def _linear_layers(folder: Path) -> dict[str, tuple[int, int]]:
    """Module to (in, out) features, from the base's own AWQ tensors: qweight is (in, out / 8)."""
    layers = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                if key.endswith(".qweight"):
                    inputs, packed = file.get_slice(key).get_shape()
                    layers[key.removesuffix(".qweight")] = (inputs, packed * 8)
    return layers
