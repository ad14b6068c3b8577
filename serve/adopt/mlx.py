"""mlx-lm's `adapters.safetensors`: matrices the other way round, and a plain scale.

Source: github.com/ml-explore/mlx-lm `mlx_lm/tuner/lora.py`: `y + scale * (x @ lora_a) @ lora_b`.
"""

from data.errors import UserError, shown
from serve.adopt.settings import Settings
from serve.registry import strict_json

WEIGHTS = "adapters.safetensors"


def read(config: bytes, layers: int) -> Settings:
    """Rank and scale of mlx-lm's `adapter_config.json`; UserError where it is no LoRA's.

    It changes the last `num_layers` of the base's `layers`, or all where that is not above 0.
    """
    try:
        told = strict_json.parse(strict_json.unmarked(config), strict_json.FEW_VALUES)
    except ValueError as error:
        raise UserError(f"adapter_config.json cannot be read ({error}); copy it again.") from None
    kind = told.get("fine_tune_type", "lora") if isinstance(told, dict) else None
    if kind != "lora":
        raise UserError(
            f"adapter_config.json has fine_tune_type {shown(repr(kind))}, where plain LoRA is served; "
            "retrain "
            "with --fine-tune-type lora."
        )
    match told.get("lora_parameters"):
        case {"rank": int(rank), "scale": int() | float() as scale} if 1 <= rank <= 512 and scale > 0:
            pass
        case _:
            raise UserError(
                "adapter_config.json says no lora_parameters.rank and scale, without which the update's "
                "size is "
                "unknown; copy it from the training's folder again."
            )
    model = told.get("model")
    claimed = shown(model, 200) if isinstance(model, str) and model else None
    last = told.get("num_layers")
    changed = list(range(max(0, layers - last), layers)) if type(last) is int and last > 0 else None
    return Settings(rank=rank, alpha=float(scale) * rank, layers=changed, claimed_base=claimed)
