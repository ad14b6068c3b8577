"""Adapters that were broken in ways that no shape and no name shows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from data import digest

WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"
HEAD = 64
"""Values of an attention head of the embedded base."""


def sign(folder: Path, **base: str) -> None:
    """Have the manifest describe the files as they are, and `base` be what it says of its base."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["base"] |= base
    for name, entry in manifest["files"].items():
        entry |= {"sha256": digest.of_file(folder / name), "size": (folder / name).stat().st_size}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def alpha_doubled(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"lora_alpha": 2 * config["lora_alpha"]}))


def halves_swapped(folder: Path) -> None:
    """Halves of each head change places: q and k laid out for another kind of rotary embedding."""

    def swap(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if "q_proj.lora_B" in name or "k_proj.lora_B" in name]:
            outputs, rank = tensors[name].shape
            halves = tensors[name].reshape(-1, 2, HEAD // 2, rank)
            tensors[name] = halves[:, ::-1].reshape(outputs, rank).copy()

    _weights(folder, swap)


def layer_zeroed(layer: int) -> Callable[[Path], None]:
    """B of all of a layer's modules is zero, as where a file was written in part."""

    def zero(tensors: dict[str, Any]) -> None:
        for name, values in tensors.items():
            if f".layers.{layer}." in name and ".lora_B." in name:
                values[:] = 0

    return lambda folder: _weights(folder, zero)


def _weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


FAULTS: dict[str, Callable[[Path], None]] = {
    "alpha doubled": alpha_doubled,
    "q and k swapped": halves_swapped,
    "B of layer 0 zeroed": layer_zeroed(0),
    "B of layer 15 zeroed": layer_zeroed(15),
    "B of layer 29 zeroed": layer_zeroed(29),
}
