"""Adapters that each answer one word of their own, on a base of two layers that counts; nothing is trained.

Every embedding has the same value in channel 0, so that a linear layer, which has no bias, has a constant to
work with. In the last layer an adapter writes its code into each position's values, and its output projection
turns its own code into its word, and all others into `MIXED`. So the word comes out of the KV cache: what
another adapter computed there, such as a cached prefix, is seen as well as what it computes now.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from finetune.base.identity import describe
from finetune.base.resolve import write_manifest
from tests.finetune import tiny_awq
from tests.serve.tiny import CONFIG, WEIGHTS, Base, sign

NAME = "canary-awq"
CODES = 64
"""One for each channel of the values: so many words there can be."""
HEAD, QUERY_HEADS_PER_VALUE = 32, 2
HIDDEN, VALUES = 128, 64
ATTENTION = "base_model.model.model.layers.{}.self_attn"
CONSTANT, WRITTEN, SPOKEN = 1.5, 2.0, 2.0
"""The embeddings' channel 0; how large an adapter's code and word are. Both are ten times what the base's
own weights write there, so that nothing is ever near a tie."""


@dataclass(frozen=True)
class Words:
    """The tokens of one word each, by code, and the one for a foreign code."""

    ids: list[int]
    texts: list[str]
    mixed: int


def make_base(folder: Path, tokenizer: Path) -> None:
    """The base with random weights, in AutoAWQ's format, and the chat format of the base at `tokenizer`."""
    tiny_awq.make_base(folder, tokenizer)
    random = torch.Generator().manual_seed(3)
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        if "model.embed_tokens.weight" in tensors:
            vocabulary = tensors["model.embed_tokens.weight"].shape[0]
            embedding = torch.randn(vocabulary, HIDDEN, generator=random) * 0.25
            embedding[:, 0] = CONSTANT
            tensors["model.embed_tokens.weight"] = embedding.half()
            # Each token asks for the next one of the vocabulary: so the base counts, and is sure of it.
            embedding[:, 0] = 0
            tensors["lm_head.weight"] = embedding.roll(1, dims=0).half() * 4
            save_file(tensors, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    write_manifest(folder, describe(folder, NAME, {}, quality={}))


def words(folder: Path) -> Words:
    """Single tokens that read as one word."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found: dict[str, int] = {}
    for number in range(1000, tokenizer.get_vocab_size()):
        text = tokenizer.decode([number])
        if text[0] == " " and text[1:].isascii() and text[1:].islower() and len(text) > 5:
            found[text[1:]] = number
    (_, mixed), *own = list(found.items())[: CODES + 1]
    return Words([number for _, number in own], [text for text, _ in own], mixed)


def make_adapter(folder: Path, base: Base, code: int, known: Words) -> Path:
    """The adapter that says word number `code`."""
    [head] = [
        tensors["lm_head.weight"].float()
        for tensors in map(load_file, sorted(base.folder.glob("*.safetensors")))
        if "lm_head.weight" in tensors
    ]
    value_down, value_up = torch.zeros(2, HIDDEN), torch.zeros(VALUES, 2)
    value_down[0, 0] = 1
    value_up[code, 0] = WRITTEN
    read = torch.zeros(CODES, HIDDEN)
    for channel in range(CODES):
        first = channel // HEAD * QUERY_HEADS_PER_VALUE
        for query_head in range(first, first + QUERY_HEADS_PER_VALUE):
            read[channel, query_head * HEAD + channel % HEAD] = 1
    others = read.sum(dim=0) - read[code]
    spoken = [head[token] / head[token].norm() for token in (known.ids[code], known.mixed)]
    last = {
        "v_proj.lora_A": value_down,
        "v_proj.lora_B": value_up,
        "o_proj.lora_A": torch.stack([read[code], others]),
        "o_proj.lora_B": torch.stack(spoken, dim=1) * SPOKEN,
    }
    tensors = {}
    for name, tensor in last.items():
        tensors[f"{ATTENTION.format(0)}.{name}.weight"] = torch.zeros_like(tensor)
        tensors[f"{ATTENTION.format(1)}.{name}.weight"] = tensor.contiguous()
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 2,
        "lora_alpha": 2,
        "target_modules": ["v_proj", "o_proj"],
        "bias": "none",
    }
    (folder / CONFIG).write_text(json.dumps(config))
    sign(folder, base, base.manifest.identity.renderer)
    return folder
