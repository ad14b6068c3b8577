"""What the names of tensors say: which matrix of which layer, as the trainers of the world write them."""

import re
from dataclasses import dataclass
from typing import Literal

from data.errors import UserError, shown
from serve.adopt.layout import TEXT_PREFIXES

Side = Literal["A", "B"]

_WRAPPERS = re.compile(r"(?:_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.)")
"""Left by torch.compile, FSDP and activation checkpointing, anywhere in a name."""

_LORA = re.compile(
    r"(?P<prefix>(?:[A-Za-z0-9_]+\.)*?)layers\.(?P<layer>\d{1,4})\.(?P<path>[A-Za-z0-9_.]+?)"
    r"\.(?:lora_(?P<side>[AB])(?:\.(?P<adapter>(?!(?:weight|bias)$)[A-Za-z0-9_]+))?(?:\.weight)?|lora_(?P<mlx>[ab]))"
)
"""PEFT's `lora_A.weight`, a state dict's `lora_A.default.weight`, and MLX's `lora_a`, which is transposed."""

_OUTER = ("module.", "base_model.model.", "base_model.")
"""DeepSpeed's and DDP's wrapper, and PEFT's."""

_OTHERS = (
    ("lora_magnitude_vector", "DoRA's magnitudes", "retrain with use_dora off, for example with rslora"),
    ("lora_embedding_", "a LoRA of the embeddings", "retrain without embed_tokens among the target modules"),
    ("trainable_tokens", "trained rows of the embeddings", "retrain without trainable_token_indices"),
    ("modules_to_save", "whole trained modules", "retrain without modules_to_save"),
    ("lora_diag", "KaSA's singular values", "retrain as a plain LoRA"),
    ("lora_bias", "trained biases", "retrain with lora_bias off"),
    ("hada_", "LoHa's matrices", "retrain as a plain LoRA"),
    ("lokr_", "LoKr's matrices", "retrain as a plain LoRA"),
    ("oft_", "OFT's rotations", "retrain as a plain LoRA"),
    ("ia3_", "IA3's factors", "retrain as a plain LoRA"),
    ("vera_", "VeRA's vectors", "retrain as a plain LoRA"),
    ("prompt_embeddings", "a soft prompt", "train a LoRA instead"),
    ("lora_down", "kohya's names of a LoRA", "save it with PEFT"),
    ("lora_up", "kohya's names of a LoRA", "save it with PEFT"),
)
"""What else tensors are called for, what that is, and what to do."""


@dataclass(frozen=True)
class Name:
    """One matrix: of which layer and path (`self_attn.q_proj`), by which prefix and of which adapter."""

    layer: int
    path: str
    side: Side
    prefix: str = ""
    adapter: str | None = None
    transposed: bool = False


def parse(name: str) -> Name:
    """What a tensor is; UserError with what it is instead of a matrix of a language model's layer."""
    bare = _WRAPPERS.sub("", name)
    while outer := next((one for one in _OUTER if bare.startswith(one)), None):
        bare = bare.removeprefix(outer)
    match = _LORA.fullmatch(bare)
    if match is None or any(sign in bare for sign, _, _ in _OTHERS):
        raise UserError(_why(name, bare))
    if match["prefix"] not in TEXT_PREFIXES:
        raise UserError(
            f"Tensor {shown(name, 200)} belongs to {match['prefix'].rstrip('.')}, which is no part of a "
            "language model's layers; retrain with the text model's layers alone as target modules."
        )
    mlx = match["mlx"]
    return Name(
        layer=int(match["layer"]),
        path=match["path"],
        side="A" if (match["side"] or mlx.upper()) == "A" else "B",
        prefix=match["prefix"],
        adapter=match["adapter"],
        transposed=mlx is not None,
    )


def of_adapter(name: str) -> bool:
    """Whether a tensor is some adapter's, if not of a kind that is served."""
    return "lora" in name.lower() or any(sign in name for sign, _, _ in _OTHERS)


def _why(name: str, bare: str) -> str:
    told = f"Tensor {shown(name, 200)}"
    for sign, what, step in _OTHERS:
        if sign in bare:
            return f"{told} holds {what}, which this server does not run: it runs plain LoRA alone; {step}."
    if "lora_B.bias" in bare or "lora_A.bias" in bare or bare.endswith(".bias"):
        return f"{told} is a trained bias, which the server does not run; retrain with bias: none."
    if re.search(r"(^|\.)(lm_head|output)\.", bare):
        return (
            f"{told} is the output head, which the server takes from the base; retrain without lm_head in "
            "modules_to_save and target_modules."
        )
    if re.search(r"(^|\.)(embed_tokens|tok_embeddings|wte)\.", bare):
        return (
            f"{told} is the embedding, which the server takes from the base; retrain without it in "
            "modules_to_save, or save with PEFT's save_pretrained(..., save_embedding_layers=False)."
        )
    if "lora_" not in bare:
        return (
            f"{told} is a weight of the model itself, not of an adapter; save the adapter alone, with PEFT's "
            "save_pretrained."
        )
    return f"{told} is no lora_A or lora_B of a layer; save the adapter with PEFT's save_pretrained."
