"""How many numbers a Llama-like decoder has, and where: from its config.json alone."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.bases import find_base
from data.errors import UserError
from data.mistakes import first_error
from finetune.base import catalogue
from finetune.base.catalogue import Shape
from finetune.base.resolve import find
from finetune.recipe import Lora

MODELS = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type`s whose layers are the seven products below, with SiLU and RMSNorm between them."""

ATTENTION, MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")

_GROUP = 128  # AutoAWQ's own default


def shape_of(name: str, config: Path | None = None) -> tuple[Shape, str]:
    """The shape of the base `name`, and where it was read: `config`, the base's folder, or the catalogue."""
    if config is not None:
        return read(config), f"{config}"
    entry = catalogue.load().get(name)
    if entry and entry.shape and find_base(name) is None:
        return entry.shape, "what is known of it; the base is not here yet"
    return read(find(name) / "config.json"), "its config.json"


def read(path: Path) -> Shape:
    """The shape in a config.json; UserError where it is no Llama-like decoder, or no AWQ of 4 bit."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise UserError(f"{path} cannot be read ({reason}); give a model's config.json.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no settings of a model; give a model's config.json.")
    kind = config.get("model_type")
    if kind not in MODELS:
        raise UserError(
            f"{path} describes a model of the type {kind!r}; only those of {', '.join(MODELS)} can be"
            " estimated, so give the config.json of one of them."
        )
    quantisation = config.get("quantization_config") or {"quant_method": "awq", "bits": 4}
    method, bits = quantisation.get("quant_method"), quantisation.get("bits")
    if (method, bits) != ("awq", 4):
        raise UserError(
            f"{path} describes weights of {bits} bit by {method};"
            " only AWQ of 4 bit can be trained on, so give the config.json of such a base."
        )
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    defaults: dict[str, Any] = {
        "num_key_value_heads": heads,
        "head_dim": hidden // heads if isinstance(heads, int) and isinstance(hidden, int) and heads else None,
        "tie_word_embeddings": False,
        "group_size": quantisation.get("group_size", _GROUP),
    }
    found = {key: config.get(key) for key in Shape.model_fields}
    try:
        return Shape.model_validate(
            {key: defaults.get(key) if value is None else value for key, value in found.items()}
        )
    except ValidationError as error:
        raise UserError(
            f"{path} lacks what an estimate needs ({first_error(error)}); give a model's whole config.json."
        ) from None


def products(shape: Shape) -> dict[str, tuple[int, int]]:
    """(in, out) of each linear product of a layer, by the name that `lora.targets` uses."""
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, keys = (
        count * shape.head_dim for count in (shape.num_attention_heads, shape.num_key_value_heads)
    )
    return {
        "q_proj": (hidden, queries),
        "k_proj": (hidden, keys),
        "v_proj": (hidden, keys),
        "o_proj": (queries, hidden),
        "gate_proj": (hidden, inner),
        "up_proj": (hidden, inner),
        "down_proj": (inner, hidden),
    }


def linear_numbers(shape: Shape) -> int:
    """Numbers of the products of all layers: what AWQ holds in 4 bits."""
    return shape.num_hidden_layers * sum(a * b for a, b in products(shape).values())


def other_numbers(shape: Shape) -> int:
    """Numbers that stay wide: embeddings, the output layer where it is not tied, norms."""
    embeddings = shape.vocab_size * shape.hidden_size * (1 if shape.tie_word_embeddings else 2)
    return embeddings + shape.hidden_size * (2 * shape.num_hidden_layers + 1)


def adapter_numbers(shape: Shape, lora: Lora) -> int:
    """Trainable numbers of the adapter; UserError for a target that no layer has."""
    known = products(shape)
    if unknown := [target for target in lora.targets if target not in known]:
        raise UserError(
            f"lora.targets names {', '.join(unknown)}, which matches no module of this base; it has"
            f" {', '.join(sorted(known))}."
        )
    return shape.num_hidden_layers * sum(lora.r * sum(known[target]) for target in lora.targets)
