"""`adapter_config.json` as this server allows it: plain LoRA, nothing that changes the base or runs code."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data.errors import UserError
from data.mistakes import first_error
from serve.registry import strict_json

MAX_ALPHA = 65_504
"""The largest float16: scaling by more overflows wherever rank is 1."""

WITHOUT_EFFECT = {
    "auto_mapping", "layers_to_transform", "layers_pattern", "modules_to_save",
    "rank_pattern", "alpha_pattern", "layer_replication", "trainable_token_indices", "target_parameters",
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "ensure_weight_tying", "fan_in_fan_out",
    "alora_invocation_tokens", "megatron_config", "loftq_config", "eva_config", "corda_config",
    "lora_ga_config", "velora_config", "monteclora_config", "arrow_config", "kasa_config", "enable_lora",
}  # fmt: skip
"""PEFT's settings that must be off: vLLM does not implement them, or ignores them and answers wrongly."""

ModuleName = Annotated[str, Field(max_length=256)]
"""Compared with the base's modules as it stands, never as a pattern."""

PlainStart = Literal["gaussian", "orthogonal", "mica"]
"""Starts of the matrices that leave the base as it is, so that the finished ones are a plain LoRA's."""


class RuntimeConfig(BaseModel):
    """How PEFT computes, which changes nothing of what."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ephemeral_gpu_offload: bool = False


class LoraConfig(BaseModel):
    """What a plain LoRA says of itself; the weights add `lora_alpha / r * B @ A` to each target module."""

    model_config = ConfigDict(extra="forbid", strict=True)

    peft_type: Literal["LORA"]
    r: int = Field(ge=1, le=512)
    lora_alpha: float = Field(gt=0, le=MAX_ALPHA)
    target_modules: list[ModuleName] = Field(min_length=1, max_length=4096)
    exclude_modules: list[ModuleName] | None = Field(default=None, max_length=4096)
    """Taken where it excludes none of the modules that are changed; see `validate`."""
    bias: Literal["none"] = "none"
    use_rslora: bool = False
    init_lora_weights: bool | PlainStart = True
    """The names of other starts (PiSSA, OLoRA) stand for a changed base."""
    task_type: Literal["CAUSAL_LM"] | None = None
    # For people and for training; serving reads none of these.
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    inference_mode: bool = True
    base_model_name_or_path: str | None = None
    revision: str | None = None
    peft_version: str | None = None
    megatron_core: Literal["megatron.core"] | None = None
    """A module that PEFT would import."""
    qalora_group_size: int | None = None
    merge_weights: bool | None = None
    """Of PEFT before 0.3: whether evaluation merges, which is the server's to choose."""
    runtime_config: RuntimeConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _extensions_are_off(cls, config: Any) -> Any:
        if not isinstance(config, dict):
            return config
        for name in sorted(WITHOUT_EFFECT & config.keys()):
            if not says_nothing(config[name]):
                raise ValueError(f"{name} is set, and this server runs plain LoRA alone")
        if isinstance(config.get("exclude_modules"), str):
            raise ValueError("exclude_modules is set to a pattern; name the modules in a list")
        return {name: value for name, value in config.items() if not cls._is_absent(name, value)}

    @classmethod
    def _is_absent(cls, name: str, value: Any) -> bool:
        """Null is as good as absent where there is a default, and so is what says nothing under a key of a
        newer PEFT."""
        field = cls.model_fields.get(name)
        if field is None:
            return name in WITHOUT_EFFECT or says_nothing(value)
        return value is None and not field.is_required()


def says_nothing(value: Any) -> bool:
    """Whether a setting is null, false or empty, which is as good as absent."""
    return value is None or value is False or value in ([], {})


_ENGINE_READS = {"peft_type", "r", "lora_alpha", "target_modules", "bias", "use_rslora", "task_type"}


def rewritten(config: LoraConfig) -> bytes:
    """The config as the engine gets it: what was allowed and read, and nothing else that a stranger wrote."""
    kept = config.model_dump(include=_ENGINE_READS, exclude_none=True)
    return (json.dumps(kept | {"inference_mode": True, "lora_dropout": 0.0}, indent=2) + "\n").encode()


def parse(data: bytes) -> LoraConfig:
    """The config; UserError with its first mistake."""
    try:
        return LoraConfig.model_validate(strict_json.parse(data, strict_json.FEW_VALUES))
    except ValidationError as error:
        why = first_error(error)
    except ValueError as error:
        why = str(error)
    raise UserError(
        f"adapter_config.json is not a plain LoRA's ({why}); retrain without it, or push the folder that the "
        "trainer wrote with `serve push`, which maps what can be mapped."
    )
