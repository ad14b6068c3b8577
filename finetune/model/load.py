"""An AWQ checkpoint as a frozen transformers model that gradients can pass through."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from data.errors import UserError
from finetune.model.attention import install
from finetune.model.choice import Choice, choose
from finetune.model.dense import dense_state
from finetune.model.packed import PackedLinear
from finetune.model.rms_norm import fuse_norms


def load_base(
    folder: Path,
    weights: str | Choice = "auto",
    dtype: torch.dtype | None = None,
    fingerprint: str | None = None,
) -> Any:
    """The base in `folder`, frozen and in evaluation mode.

    `weights`: `dense`, `packed`, `auto`, or what `choose` made of them. `dtype` is the fastest of this
    machine when none is given. With the base's `fingerprint`, dense weights are kept on disk.
    """
    choice = weights if isinstance(weights, Choice) else choose(folder, weights, dtype)
    model = _empty(folder, choice.dtype)
    state = _packed(model, folder, choice.dtype) if choice.weights == "packed" else {}
    state = state or dense_state(folder, fingerprint, choice.dtype)
    result = model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    buffers = {
        f"{name}.{part}"
        for name, module in model.named_modules()
        if isinstance(module, PackedLinear)
        for part in ("qweight", "qzeros", "scales")
    }
    odd = [*(set(result.missing_keys) - tied - buffers), *result.unexpected_keys]
    if odd:
        raise UserError(
            f"{folder} does not fit its config.json: {len(odd)} tensors differ, first {min(odd)!r};"
            " download or build the base again."
        )
    _restore_buffers(model)
    model.requires_grad_(False)
    fuse_norms(model)
    model.config.use_cache = False
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _empty(folder: Path, dtype: torch.dtype) -> Any:
    """The model without weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=install())


def _packed(model: Any, folder: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Put packed layers where the checkpoint has them; returns all other tensors."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rest = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt", device=device) as file:
            names = set(file.keys())
            for name in sorted(names):
                module, _, kind = name.rpartition(".")
                if f"{module}.qweight" not in names:
                    rest[name] = file.get_tensor(name).to(dtype)
                elif kind == "qweight":
                    qweight, qzeros, scales = (
                        file.get_tensor(f"{module}.{part}") for part in ("qweight", "qzeros", "scales")
                    )
                    bias = f"{module}.bias"
                    own = file.get_tensor(bias).to(dtype) if bias in names else None
                    model.set_submodule(module, PackedLinear(qweight, qzeros, scales, dtype, own))
    return rest


def _restore_buffers(model: Any) -> None:
    """Rotary frequencies are computed, not stored: the meta device left them empty."""
    for name, module in model.named_modules():
        if name.endswith("rotary_emb"):
            fresh = type(module)(config=model.config)
            module.inv_freq = fresh.inv_freq
            module.original_inv_freq = fresh.original_inv_freq
