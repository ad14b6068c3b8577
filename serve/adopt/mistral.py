"""mistral-finetune's `lora.safetensors` with `params.json`: other names, a plain scale, turned rows.

Source: github.com/mistralai/mistral-finetune `finetune/checkpointing.py`, `model/lora.py`, `model/rope.py`.
Its rotary embedding pairs neighboring values of a head, transformers' those half a head apart, so the rows of
the query and key projections stand in another order: see `permute` in transformers' conversion scripts.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import UserError, shown
from serve.adopt.layout import BaseLayout
from serve.adopt.settings import Settings
from serve.registry import strict_json

WEIGHTS, PARAMS = "lora.safetensors", "params.json"

PATHS = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
"""Its names of a layer's parts, and transformers'."""


def read(params: bytes | None, layout: BaseLayout) -> Settings:
    """Rank and scale of a `params.json`; UserError where it is of another model, or does not say them."""
    if params is None:
        raise UserError(
            f"{WEIGHTS} lies there without {PARAMS}, which holds its scale; push the checkpoint's folder "
            "(checkpoints/checkpoint_*/consolidated) as mistral-finetune wrote it."
        )
    try:
        told = strict_json.parse(strict_json.unmarked(params), strict_json.FEW_VALUES)
    except ValueError as error:
        raise UserError(f"{PARAMS} cannot be read ({error}); copy it from the checkpoint again.") from None
    lora = told.get("lora") if isinstance(told, dict) else None
    lora = lora if isinstance(lora, dict) else {}
    match lora:
        case {"rank": int(rank), "scaling": int() | float() as scaling} if 1 <= rank <= 512 and scaling > 0:
            pass
        case _:
            raise UserError(
                f"{PARAMS} says no lora.rank and lora.scaling, without which the update's size is "
                "unknown; copy "
                "it from the checkpoint again."
            )
    if lora.get("enable", True) is not True:
        raise UserError(f"{PARAMS} says that lora is not enabled; push a checkpoint of a LoRA run.")
    _compare(told, layout)
    return Settings(rank=rank, alpha=float(scaling) * rank)


def turned(values: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Rows of B [out, r] in transformers' order."""
    rows, rank = values.shape
    return values.reshape(heads, rows // heads // 2, 2, rank).swapaxes(1, 2).reshape(rows, rank)


def heads_of(path: str, layout: BaseLayout) -> int | None:
    """How many heads a module's rows fall into, where their order differs; None where it does not."""
    if path not in ("self_attn.q_proj", "self_attn.k_proj"):
        return None
    if layout.heads is None:
        raise UserError(
            "this server's base does not say how many heads its attention has, without which "
            "mistral-finetune's "
            "rows cannot be put in order; give the base's folder its config.json."
        )
    return layout.heads.query if path == "self_attn.q_proj" else layout.heads.key


def _compare(told: dict[str, Any], layout: BaseLayout) -> None:
    query = next((size for name, size in layout.modules.items() if name.endswith("q_proj")), None)
    here = {
        "n_layers": layout.layers,
        "n_heads": layout.heads and layout.heads.query,
        "n_kv_heads": layout.heads and layout.heads.key,
        "dim": query and query[0],
    }
    for key, value in here.items():
        if key in told and value is not None and told[key] != value:
            raise UserError(
                f"{PARAMS} has {key} {shown(repr(told[key]))}, and base {layout.name!r} {value}: it was "
                "trained "
                "on another model; retrain on this base, or start a server with the other."
            )
