"""A random AWQ base of two layers and a random adapter on it, made without the code under test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from data import digest
from data.manifest import AdapterBase, AdapterManifest, DatasetEntry, FileEntry, read_base
from finetune.base.identity import describe
from finetune.base.resolve import write_manifest
from tests.finetune.tiny import save_dense

BASE = "tiny-awq"
GROUP = 64
# awq/modules/linear/gemm.py: nibble i of a packed int32 holds column ORDER[i] of its eight.
ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def make_base(folder: Path, tokenizer: Path) -> Any:
    """Write an AWQ base to `folder`; returns the dense float32 model of the same weights."""
    dense = folder.with_name("dense")
    model = save_dense(dense, tokenizer)
    random = np.random.default_rng(0)
    tensors: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" not in name:
                tensors[name] = parameter.to(torch.float16)
                parameter.copy_(tensors[name])  # what float16 keeps of it
                continue
            outputs, inputs = parameter.shape
            values = random.integers(0, 16, (inputs, outputs))
            zeros = random.integers(6, 10, (inputs // GROUP, outputs))
            scales = (random.random((inputs // GROUP, outputs)) * 0.02).astype(np.float16)
            module = name.removesuffix(".weight")
            tensors[f"{module}.qweight"], tensors[f"{module}.qzeros"] = pack(values), pack(zeros)
            tensors[f"{module}.scales"] = torch.from_numpy(scales)
            distance = (values - zeros.repeat(GROUP, axis=0)).astype(np.float32)
            weight = distance * scales.astype(np.float32).repeat(GROUP, axis=0)
            parameter.copy_(torch.from_numpy(weight.T.copy()))
    folder.mkdir(parents=True)
    names = sorted(tensors)
    for number, part in enumerate((names[:5], names[5:]), start=1):
        save_file({name: tensors[name] for name in part}, folder / f"model-{number}.safetensors")
    config = json.loads((dense / "config.json").read_text()) | {
        "quantization_config": {
            "quant_method": "awq",
            "bits": 4,
            "group_size": GROUP,
            "version": "gemm",
            "zero_point": True,
        }
    }
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((tokenizer / name).read_bytes())
    write_manifest(folder, describe(folder, BASE, {}, quality={}))
    return model


def pack(values: npt.NDArray[Any]) -> torch.Tensor:
    """`[rows, columns]` of 0..15 to `[rows, columns / 8]` int32."""
    packed = np.zeros((values.shape[0], values.shape[1] // 8), dtype=np.uint32)
    for nibble, column in enumerate(ORDER):
        packed |= values[:, column::8].astype(np.uint32) << np.uint32(4 * nibble)
    return torch.from_numpy(packed.view(np.int32))


def make_adapter(folder: Path, base: Path, model: Any, size: float = 0.1, **lora: Any) -> None:
    """PEFT's own adapter with matrices of standard deviation `size`, and a manifest beside it."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "down_proj"]} | lora
    peft_model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=size)
    peft_model.save_pretrained(folder)
    peft_model.unload()
    describe_adapter(folder, base)


def describe_adapter(folder: Path, base: Path) -> None:
    """`manifest.json` of the files that are there."""
    here = read_base(base)
    files = {
        name: FileEntry(sha256=digest.of_file(folder / name), size=(folder / name).stat().st_size)
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    manifest = AdapterManifest(
        name="grafted",
        base=AdapterBase(name=BASE, fingerprint=here.fingerprint),
        renderer=here.identity.renderer,
        dataset=DatasetEntry(
            digest="sha256:0", sources=[], conversations=1, targets=1, tokens=1, learnt_tokens=1
        ),
        recipe={},
        recipe_digest="sha256:0",
        training={},
        code={},
        created="2026-01-01T00:00:00+00:00",
        files=files,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
