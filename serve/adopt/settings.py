"""An adapter's config from elsewhere: what it says of its matrices, what says nothing, what is refused."""

import re
from dataclasses import dataclass, field
from typing import Any

from data.errors import UserError, shown
from serve.registry import strict_json
from serve.registry.lora_config import MAX_ALPHA, WITHOUT_EFFECT, says_nothing

_HONORED = {
    "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "exclude_modules",
    "layers_to_transform", "layers_pattern", "peft_type", "base_model_name_or_path",
}  # fmt: skip

_OF_TRAINING = {
    "lora_dropout", "inference_mode", "revision", "peft_version", "megatron_core", "qalora_group_size",
    "merge_weights", "runtime_config", "task_type", "auto_mapping", "ensure_weight_tying", "velora_config",
    "lora_dtype", "lorap_lr_ratio", "lorap_emb_lr", "loraplus_lr_ratio", "loraplus_lr_embedding",
    "unsloth_fixed", "unsloth_version", "swift_type",
}  # fmt: skip
"""Of training, loading and people: the finished matrices are the same whatever they say."""

_CONVERTED = (
    "save it again as a plain LoRA with PEFT's save_pretrained(OUT, "
    "path_initial_model_for_weight_conversion=START), where START is the adapter before its first step"
)
_STARTS = {
    "pissa": _CONVERTED,
    "olora": _CONVERTED,
    "corda": _CONVERTED,
    "loftq": "retrain with the default start",
    "lora_ga": "retrain with the default start",
}
"""Starts that change the base under the adapter: its matrices are right on that alone; and the way out."""

_PLAIN_STARTS = {"gaussian", "orthogonal", "mica", "eva", "default", "kaiming", "zero"}

_WHY = {
    "use_dora": "DoRA rescales whole columns of the base; retrain with use_dora off, for example with rslora",
    "modules_to_save": "whole modules were trained beside the matrices, and the server takes those from the "
    "base; retrain without modules_to_save",
    "fan_in_fan_out": "its layers store their weights transposed, as this base's do not; retrain on this "
    "base",
    "lora_bias": "biases were trained; retrain with lora_bias off",
    "layer_replication": "its model has layers twice that this base has once; retrain on this base",
    "alora_invocation_tokens": "it is on from certain tokens only (aLoRA), and the server has it on for all; "
    "retrain as a plain LoRA",
    "trainable_token_indices": "rows of the embeddings were trained; retrain without them",
    "target_parameters": "it changes parameters that are no layers; retrain on target_modules alone",
    "use_qalora": "QALoRA pools the inputs in groups; retrain with use_qalora off",
    "enable_lora": "it is of 2021's merged layers (q, k, v in one); retrain with PEFT",
}


@dataclass(frozen=True)
class Settings:
    """Rank and scale, with their exceptions by name, and which modules are meant."""

    rank: int
    alpha: float
    rslora: bool = False
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    targets: list[str] | str | None = None
    excluded: list[str] | str | None = None
    layers: list[int] | None = None
    claimed_base: str | None = None

    def rank_of(self, module: str) -> int:
        return self.ranks.get(_key(self.ranks, module), self.rank)

    def scale_of(self, module: str) -> float:
        """What B @ A is multiplied by, as PEFT does it."""
        alpha, rank = self.alphas.get(_key(self.alphas, module), self.alpha), self.rank_of(module)
        return alpha / (rank**0.5 if self.rslora else rank)


def read(data: bytes) -> Settings:
    """The settings of an `adapter_config.json`; UserError with the first that cannot be honored."""
    try:
        config = strict_json.parse(strict_json.unmarked(data), strict_json.FEW_VALUES)
    except ValueError as error:
        raise _refused(str(error), "write it with PEFT's save_pretrained") from None
    if not isinstance(config, dict):
        raise _refused("it is not an object", "write it with PEFT's save_pretrained")
    kind = config.get("peft_type")
    if kind != "LORA":
        if kind is None:
            raise _refused("it has no peft_type", "copy the one here that PEFT wrote beside the weights")
        raise _refused(f"peft_type is {shown(repr(kind))}, where LORA is served", "train a plain LoRA")
    _refuse_harmful(config)
    return Settings(
        rank=_whole(config, "r"),
        alpha=_positive(config.get("lora_alpha"), "lora_alpha"),
        rslora=_flag(config, "use_rslora"),
        ranks={key: _rank(value, key) for key, value in _pattern(config, "rank_pattern").items()},
        alphas={key: _positive(value, key) for key, value in _pattern(config, "alpha_pattern").items()},
        targets=_modules(config, "target_modules"),
        excluded=_modules(config, "exclude_modules"),
        layers=_layers(config.get("layers_to_transform")),
        claimed_base=_text(config.get("base_model_name_or_path")),
    )


def _refuse_harmful(config: dict[str, Any]) -> None:
    start = config.get("init_lora_weights")
    name = start.partition("_niter_")[0].lower() if isinstance(start, str) else start
    if isinstance(name, str) and name in _STARTS:
        raise _refused(
            f"init_lora_weights is {shown(str(start))!r}, which changed the base under the adapter",
            _STARTS[name],
        )
    if isinstance(name, str) and name not in _PLAIN_STARTS:
        raise _refused(f"init_lora_weights is {shown(name)!r}, an unknown start", "retrain with the default")
    if not (name is None or isinstance(name, bool | str)):
        raise _refused("init_lora_weights is neither true nor a name", "retrain with the default")
    if (bias := config.get("bias", "none")) not in ("none", None):
        raise _refused(f"bias is {shown(repr(bias))}: biases were trained", "retrain with bias: none")
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        raise _refused(f"task_type is {shown(repr(config['task_type']))}", "retrain for CAUSAL_LM")
    for key, value in config.items():
        if key in _HONORED | _OF_TRAINING or key in ("init_lora_weights", "bias") or says_nothing(value):
            continue
        if key in ("loftq_config", "eva_config", "corda_config", "lora_ga_config"):
            continue  # of a start, which `init_lora_weights` names where it was taken
        known = "this server does not run that" if key in WITHOUT_EFFECT else "this version does not know it"
        why, _, step = _WHY.get(key, f"{known}; retrain without it").rpartition("; ")
        raise _refused(f"{shown(key)} is set: {why}", step)


def _key(pattern: dict[str, Any], module: str) -> str:
    """PEFT's `get_pattern_key`: the first name that is the module's whole name, or its last parts."""
    for key in pattern:
        if re.match(rf"(.*\.)?({key})$", module):
            return key
    return module


_NAME = re.compile(r"\^?[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\$?")


def _pattern(config: dict[str, Any], key: str) -> dict[str, Any]:
    given = config.get(key) or {}
    if not isinstance(given, dict):
        raise _refused(f"{key} is not an object", "write it with PEFT's save_pretrained")
    for name in given:
        if len(name) > 256 or _NAME.fullmatch(name) is None:
            raise _refused(
                f"{key} has the regular expression {shown(name)!r}", "name the modules there one by one"
            )
    return given


def _modules(config: dict[str, Any], key: str) -> list[str] | str | None:
    given = config.get(key)
    if says_nothing(given):
        return None
    if isinstance(given, str):
        return given
    if isinstance(given, list) and all(isinstance(one, str) and len(one) <= 256 for one in given):
        return given
    raise _refused(f"{key} is no list of names", "write it with PEFT's save_pretrained")


def _layers(given: Any) -> list[int] | None:
    if given is None or given == []:
        return None
    layers = given if isinstance(given, list) else [given]
    if not all(type(one) is int and 0 <= one < 10_000 for one in layers):
        raise _refused("layers_to_transform is no list of layers", "write it with PEFT's save_pretrained")
    return layers


def _whole(config: dict[str, Any], key: str) -> int:
    return _rank(config.get(key), key)


def _rank(value: Any, key: str) -> int:
    if type(value) is not int or not 1 <= value <= 512:
        raise _refused(f"{shown(key)} is {shown(repr(value))}, where 1 to 512 go", "retrain with such a rank")
    return value


def _positive(value: Any, key: str) -> float:
    if type(value) not in (int, float) or not 0 < value <= MAX_ALPHA:
        raise _refused(
            f"{shown(key)} is {shown(repr(value))}, where an alpha above 0 goes, at most {MAX_ALPHA}",
            "write what training had",
        )
    return float(value)


def _flag(config: dict[str, Any], key: str) -> bool:
    value = config.get(key)
    if value not in (None, True, False):
        raise _refused(f"{key} is {shown(repr(value))}, where true or false goes", "write what training had")
    return bool(value)


def _text(value: Any) -> str | None:
    return shown(value, 200) if isinstance(value, str) and value else None


def _refused(why: str, step: str) -> UserError:
    return UserError(f"adapter_config.json describes no plain LoRA ({why}); {step}.")
