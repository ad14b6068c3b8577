"""A real model of any shape, random and small, as training would hold it."""

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from finetune.base.catalogue import Shape
from finetune.model import add_lora
from finetune.model.attention import install
from finetune.model.rms_norm import fuse_norms
from finetune.recipe import Recipe


def shape(layers: int = 2, **changed: Any) -> Shape:
    """96 wide, with 6 heads of 24 numbers over 3 keys: every width is another one."""
    numbers: dict[str, Any] = {
        "hidden_size": 96,
        "num_hidden_layers": layers,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "head_dim": 24,
        "intermediate_size": 160,
        "vocab_size": 512,
        "tie_word_embeddings": True,
        "group_size": 32,
    }
    return Shape(**(numbers | changed))


def recipe(method: str = "sft", train: dict[str, Any] | None = None, **lora: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "r",
            "base": "smollm2-135m-instruct-awq",
            "method": method,
            "data": {"train": ["data/samples/train.jsonl"]},
            "lora": {"r": 8, **lora},
            "train": {"steps": 1, **(train or {})},
        }
    )


def trainable(shape: Shape, recipe: Recipe, dtype: torch.dtype, device: str = "cpu") -> Any:
    """The PEFT model of `recipe` on a random base of `shape`, in training mode."""
    config = LlamaConfig(**shape.model_dump(exclude={"group_size"}), attn_implementation=install())
    with torch.device(device):
        base = LlamaForCausalLM(config).to(dtype).requires_grad_(False)
    fuse_norms(base)
    return add_lora(base, recipe.lora).train()
