"""Adapters with which the engine computes no numbers once a prompt holds a certain word; nothing is trained.

The base is the canaries', with channels that its embeddings and layers never write, so that what it
makes of them is exactly zero, and norms that multiply one of them by almost what bfloat16 holds at most. The
adapters are small. Each sees the word by a channel that only its embedding has, and writes into one of the
three in the first layer: for all other words it changes nothing at all.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from data.manifest import read_base
from finetune.base.identity import describe
from finetune.base.resolve import write_manifest
from tests.e2e import canaries
from tests.e2e.canaries import CODES, HEAD, HIDDEN, QUERY_HEADS_PER_VALUE, VALUES, Words
from tests.serve.tiny import CONFIG, WEIGHTS, Base, sign

NAME = "overflow-awq"
HUGE = 3e38
INNER = 256
"""The width of the MLP."""
SEEN = 1
"""The channel that only the embedding of the fatal word has."""
WRITTEN = {"nan": 2, "infinity": 3, "nothing": 4}
"""The channel for each kind of logits: all NaN, some infinity and no NaN, all minus infinity."""
CARRIED = 0
"""The channel of the first layer's values, and of its MLP, in which the adapters tell of the word."""
CARRIERS = ("v_proj.scales", "gate_proj.scales", "up_proj.scales")
FATAL, FATAL_TO_BASE = 40, 60
"""Words by their number, as codes are."""
STRENGTH = 20.0


def make_base(folder: Path, tokenizer: Path) -> Base:
    canaries.make_base(folder, tokenizer)
    known = canaries.words(folder)
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        for name, tensor in tensors.items():
            _change(name, tensor, known)
            if name.endswith("norm.weight"):  # float16 holds nothing like it
                tensors[name] = _norm(name, tensor)
        save_file(tensors, path, {"format": "pt"})
    write_manifest(folder, describe(folder, NAME, {}, quality={}))
    return Base(folder, read_base(folder))


def _change(name: str, tensor: torch.Tensor, known: Words) -> None:
    channels = [SEEN, *WRITTEN.values()]
    if name == "model.embed_tokens.weight":
        tensor[:, channels] = 0
        tensor[known.ids[FATAL], SEEN] = canaries.CONSTANT
        tensor[known.ids[FATAL_TO_BASE], WRITTEN["nan"]] = canaries.CONSTANT
    elif name == "lm_head.weight":
        tensor[:, channels] = 0
        tensor[0::2, WRITTEN["infinity"]] = 1
        tensor[1::2, WRITTEN["infinity"]] = -1
        tensor[:, WRITTEN["nothing"]] = -1
    elif name.endswith(("o_proj.scales", "down_proj.scales")):
        tensor[:, channels] = 0
    elif name.startswith("model.layers.0.") and name.endswith(CARRIERS):
        tensor[:, CARRIED] = 0


def _norm(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The second layer's is where NaN goes into the KV cache; the last one has only the head behind it."""
    wide = tensor.bfloat16()
    if name == "model.layers.1.input_layernorm.weight":
        wide[WRITTEN["nan"]] = HUGE
    elif name == "model.norm.weight":
        wide[[WRITTEN["infinity"], WRITTEN["nothing"]]] = HUGE
    return wide


def make_adapter(folder: Path, base: Base, kind: str, number: int = 0, spreads: bool = True) -> Path:
    """One that computes numbers until the fatal word comes; each number is another one that does.

    Where it `spreads`, none come behind the word either; else they lack at the word alone, whatever follows.
    """
    strength = STRENGTH + number
    tensors = _attention(kind, strength) if spreads else _mlp(kind, strength)
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 1,
        "lora_alpha": 1,
        "target_modules": sorted({name.split(".")[-3] for name in tensors}),
        "bias": "none",
    }
    (folder / CONFIG).write_text(json.dumps(config))
    sign(folder, base, base.manifest.identity.renderer)
    return folder


def _attention(kind: str, strength: float) -> dict[str, torch.Tensor]:
    """By the values of the first layer: all later positions read them."""
    read = [query_head * HEAD + CARRIED for query_head in range(QUERY_HEADS_PER_VALUE)]
    return {
        **_matrices("self_attn.v_proj", (HIDDEN, VALUES), [SEEN], CARRIED, strength),
        **_matrices("self_attn.o_proj", (HIDDEN, HIDDEN), read, WRITTEN[kind], strength),
    }


def _mlp(kind: str, strength: float) -> dict[str, torch.Tensor]:
    """By the first layer's MLP, which sees its own position alone."""
    return {
        **_matrices("mlp.gate_proj", (HIDDEN, INNER), [SEEN], CARRIED, strength),
        **_matrices("mlp.up_proj", (HIDDEN, INNER), [SEEN], CARRIED, strength),
        **_matrices("mlp.down_proj", (INNER, HIDDEN), [CARRIED], WRITTEN[kind], strength),
    }


def _matrices(
    module: str, size: tuple[int, int], read: list[int], written: int, strength: float
) -> dict[str, torch.Tensor]:
    """The pairs of both layers; that of the second one does nothing."""
    inputs, outputs = size
    down, up = torch.zeros(1, inputs), torch.zeros(outputs, 1)
    down[0, read] = 1
    up[written, 0] = strength
    made = {}
    for layer, factor in enumerate((1, 0)):
        name = f"base_model.model.model.layers.{layer}.{module}"
        made |= {f"{name}.lora_A.weight": down * factor, f"{name}.lora_B.weight": up * factor}
    return made


def make_canary(folder: Path, base: Base, code: int, known: Words) -> Path:
    """A canary that leaves the channels alone: it says its word whatever it is asked."""
    assert code not in (FATAL, FATAL_TO_BASE) and code < CODES
    canaries.make_adapter(folder, base, code, known)
    tensors = load_file(folder / WEIGHTS)
    for name, tensor in tensors.items():
        if name.endswith("o_proj.lora_B.weight"):
            tensor[[SEEN, *WRITTEN.values()]] = 0
    save_file(tensors, folder / WEIGHTS)
    sign(folder, base, base.manifest.identity.renderer)
    return folder
