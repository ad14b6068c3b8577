"""The adapter as llama.cpp reads it: one GGUF file of LoRA matrices.

The format is that of llama.cpp's convert_lora_to_gguf.py, read by its src/llama-adapter.cpp, which adds
`alpha / r * B @ A` to each weight that a pair is named after.
"""

import os
from pathlib import Path

import torch
from gguf import GGUFType, GGUFWriter, Keys, LlamaFileType
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES
from gguf.tensor_mapping import get_tensor_name_map

from data.errors import UserError
from finetune.leave.source import Source
from finetune.progress import Step

NOTE = (
    "The adapter was trained on the AWQ weights of its base; on a GGUF of the same model it meets weights"
    " that were rounded otherwise, so evaluate it again there."
)

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
"""Both are `llama` to llama.cpp."""


def size(source: Source) -> int:
    """Bytes of the file: four for each value, and a bound for names and padding."""
    values = sum(source.rank * sum(source.shapes[f"{module}.weight"]) for module in source.modules)
    return 4 * values + 256 * 2 * len(source.modules) + 4096


def check(source: Source) -> None:
    """UserError where the file could not be written rightly."""
    [architecture, *_] = source.config.get("architectures") or ["none"]
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"gguf-lora knows the architectures {', '.join(ARCHITECTURES)}, and {source.manifest.base.name}"
            f" is {architecture}; use --to merged and llama.cpp's own converter."
        )
    _names(source)


def write(source: Source, out: Path, step: Step) -> None:
    """Write the file `out`, whole or not at all."""
    names = _names(source)
    heads = {
        "q_proj": source.config["num_attention_heads"],
        "k_proj": source.config.get("num_key_value_heads") or source.config["num_attention_heads"],
    }
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    writer = GGUFWriter(partial, MODEL_ARCH_NAMES[MODEL_ARCH.LLAMA])
    _describe(writer, source)
    for module in source.modules:
        step(module, advance=False)
        a, b = source.pair(module)
        kind = module.rpartition(".")[2]
        rows = interleaved(b, heads[kind]) if kind in heads else b
        writer.add_tensor(f"{names[module]}.lora_a", a.numpy())
        writer.add_tensor(f"{names[module]}.lora_b", rows.contiguous().numpy())
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.rename(out)
    finally:
        partial.unlink(missing_ok=True)


def interleaved(b: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows `[out, r]` of a query or key projection in llama.cpp's order.

    transformers turns row i of a head with row i + d/2, llama.cpp row 2i with row 2i + 1.
    """
    return b.reshape(heads, 2, -1, b.shape[1]).transpose(1, 2).reshape(b.shape)


def _describe(writer: GGUFWriter, source: Source) -> None:
    manifest = source.manifest
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    # llama.cpp divides by r always; for rsLoRA this alpha gives the scale that it was trained at.
    writer.add_float32(Keys.Adapter.LORA_ALPHA, source.scale * source.rank)
    writer.add_name(manifest.name)
    writer.add_description(NOTE)
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, manifest.base.name)
    writer.add_base_model_version(0, manifest.base.fingerprint)


def _names(source: Source) -> dict[str, str]:
    """The tensor of a GGUF model for each module of the adapter."""
    known = get_tensor_name_map(MODEL_ARCH.LLAMA, source.config["num_hidden_layers"])
    names: dict[str, str] = {}
    for module in source.modules:
        name = known.get_name(f"{module}.weight", try_suffixes=(".weight",))
        if name is None:
            raise UserError(
                f"{module} has an update, and llama.cpp's llama models have no such layer; train the adapter"
                " on the linear layers of attention and MLP alone."
            )
        names[module] = name
    return names
