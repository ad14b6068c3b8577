"""An ordinary float16 model: the base dequantised, the adapter added, one tensor at a time."""

import json
import math
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file

from data.errors import UserError
from finetune.leave.source import WEIGHTS, Source
from finetune.model.awq import dense_tensors
from finetune.progress import Step

SHARD_BYTES = 2 * 10**9
"""A shard is held in memory until it is written, so this bounds what a 24B base needs, beside one tensor."""

NOTE = (
    "Merging is not requantising: these weights are the dequantised 4-bit base plus the adapter's update,"
    " rounded once to float16. They are not the original 16-bit model, so evaluate them again; and they no"
    " longer serve as an adapter on the AWQ base."
)

# Everything beside weights and config that a model needs to be used, and the terms that it comes under.
_COMPANIONS = (
    "tokenizer*", "*token*.json", "vocab.json", "merges.txt", "tekken.json", "*.model.v*", "*.jinja",
    "generation_config.json", "LICENSE*", "NOTICE*",
)  # fmt: skip


def size(source: Source) -> int:
    """Bytes that the merged model takes: two for each value, and the files that are copied."""
    values = sum(math.prod(shape) for shape in source.shapes.values())
    return 2 * values + sum(path.stat().st_size for path in _companions(source.base))


def shards(shapes: dict[str, tuple[int, ...]], limit: int = SHARD_BYTES) -> list[list[str]]:
    """Parameters in their order, cut into groups of at most `limit` bytes in float16, or of one alone."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        needed = 2 * math.prod(shape)
        if groups[-1] and filled + needed > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += needed
    return groups


def write(source: Source, groups: list[list[str]], stage: Path, step: Step) -> None:
    """Fill `stage` with the merged model, one file of weights for each of `groups` (from `shards`)."""
    tensors = _merged(source)
    index: dict[str, str] = {}
    for number, names in enumerate(groups, start=1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors" if groups[1:] else "model.safetensors"
        step(f"{len(names)} tensors into {file}")
        held: dict[str, torch.Tensor] = {}
        for name, tensor in islice(tensors, len(names)):
            step(f"{name} into {file}", advance=False)
            held[name] = tensor
        save_file(held, stage / file, metadata={"format": "pt"})
        (stage / file).chmod(0o644)  # safetensors leaves it to its owner alone
        index.update(dict.fromkeys(held, file))
    if groups[1:]:
        total = 2 * sum(math.prod(shape) for shape in source.shapes.values())
        _json(
            stage / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index}
        )
    config = {
        name: value for name, value in source.config.items() if name not in ("quantization_config", "dtype")
    }
    # `torch_dtype` is what every version of transformers reads; the newer `dtype` beside it could contradict.
    _json(stage / "config.json", config | {"torch_dtype": "float16"})
    for path in _companions(source.base):
        shutil.copyfile(path, stage / path.name)
    (stage / "README.md").write_text(card(source), encoding="utf-8")


def card(source: Source) -> str:
    """README.md of the merged model: what it is made of, and what it is not."""
    manifest = source.manifest
    return f"""---
base_model: {manifest.base.name}
base_model_relation: merge
library_name: transformers
pipeline_tag: text-generation
tags: [merge, lora, enxerto]
---
# {manifest.name}, merged

{NOTE}

| | |
| --- | --- |
| base | {manifest.base.name}, `{manifest.base.fingerprint}` |
| adapter | {manifest.name}, `{manifest.files[WEIGHTS].sha256}` |
| update | {source.scale:g} × B @ A, rank {source.rank}, on {len(source.modules)} layers |
| computed | in float32, stored as float16 |
"""


def _merged(source: Source) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter of the merged model in float16; UserError where float16 cannot hold it."""
    modules = set(source.modules)
    for name, weight in dense_tensors(source.base, torch.float32):
        module = name.removesuffix(".weight")
        if module in modules:
            a, b = source.pair(module)
            weight += source.scale * (b @ a)
        half = weight.to(torch.float16)
        if not bool(half.isfinite().all()):
            raise UserError(
                f"{name} would reach {float(weight.abs().max()):.3g} in the merged model, over float16's"
                f" limit of {torch.finfo(torch.float16).max:.0f}; train the adapter with a smaller lora.alpha"
                " or learning rate, or serve it unmerged."
            )
        yield name, half


def _companions(base: Path) -> list[Path]:
    return sorted({path for pattern in _COMPANIONS for path in base.glob(pattern) if path.is_file()})


def _json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
