"""What leaves: a plain LoRA adapter, and the very base that it was trained on."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from data import digest
from data.bases import with_fingerprint
from data.errors import UserError
from data.manifest import ADAPTER_FILES, AdapterManifest, read_base
from data.mistakes import first_error
from finetune.base.identity import read_config
from finetune.base.resolve import find

WEIGHTS = "adapter_model.safetensors"
MAX_ALPHA = 65_504
"""The server's limit too: a larger one overflows float16 wherever rank is 1."""

_PARAMETER = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<side>[AB])\.weight")
# Settings of PEFT with which an adapter is more than scale * B @ A, or has several scales.
_MUST_BE_OFF = (
    "alpha_pattern", "fan_in_fan_out", "layer_replication", "lora_bias", "modules_to_save", "rank_pattern",
    "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora",
)  # fmt: skip
# Other ways to start (PiSSA, OLoRA, ...) take something out of the base, so B @ A alone is not the update.
_STARTS = (True, False, "gaussian", "orthogonal")


@dataclass(frozen=True)
class Source:
    """An adapter proven to fit its base. The update of a module's weight is `scale * B @ A`."""

    folder: Path
    manifest: AdapterManifest
    rank: int
    scale: float
    """alpha / r, or alpha / sqrt(r) for rsLoRA."""
    modules: tuple[str, ...]
    """The layers that have an update, such as `model.layers.0.self_attn.q_proj`."""
    base: Path
    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    """Of the dequantised base, by parameter, in the order of `finetune.model.awq.dense_tensors`."""

    def pair(self, module: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A `[r, in]` and B `[out, r]` of a module in float32; UserError where a value is not finite."""
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            a, b = (file.get_tensor(_parameter(module, side)).to(torch.float32) for side in "AB")
        if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
            raise UserError(
                f"the adapter's matrices of {module} hold values that are not finite; train it again with a"
                " smaller learning rate."
            )
        return a, b


def open_source(folder: Path, base: str | None = None) -> Source:
    """The adapter in `folder` on the base `base`, or the one that its manifest names; UserError if unfit.

    Reads headers and the adapter's digests, no weights of the base.
    """
    manifest = _manifest(folder)
    lora = _lora(folder / "adapter_config.json")
    # The adapter knows its base by what it is; the name may be another one on this machine.
    same = None if base else with_fingerprint(manifest.base.fingerprint)
    base_folder = find(base or str(same or manifest.base.name))
    here = read_base(base_folder)
    if here.fingerprint != manifest.base.fingerprint:
        raise UserError(
            f"{folder} was trained on base {manifest.base.name} ({manifest.base.fingerprint[:19]}), and"
            f" {here.name} on this machine is another one ({here.fingerprint[:19]}); give the right one with"
            " --base, or train the adapter again."
        )
    rank, alpha = int(lora["r"]), float(lora["lora_alpha"])
    shapes = base_shapes(base_folder)
    return Source(
        folder=folder,
        manifest=manifest,
        rank=rank,
        scale=alpha / math.sqrt(rank) if lora.get("use_rslora") else alpha / rank,
        modules=_modules(folder / WEIGHTS, rank, shapes),
        base=base_folder,
        config=read_config(base_folder),
        shapes=shapes,
    )


def base_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of an AWQ checkpoint's parameters as an ordinary model has them, from the headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
        for name, shape in stored.items():
            module, _, kind = name.rpartition(".")
            if kind == "qweight":
                shapes[f"{module}.weight"] = (shape[1] * 8, shape[0])
            elif kind not in ("qzeros", "scales") or f"{module}.qweight" not in stored:
                shapes[name] = shape
    return shapes


def _manifest(folder: Path) -> AdapterManifest:
    """`manifest.json`, which describes exactly the files beside it."""
    missing = [name for name in ADAPTER_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} is no adapter: it has no {missing[0]}; give a folder that `finetune train` wrote."
        )
    path = folder / "manifest.json"
    try:
        manifest = AdapterManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"{path} is no adapter manifest ({first_error(error)}); give the folder as training wrote it."
        ) from None
    for name in ADAPTER_FILES[:2]:
        entry = manifest.files.get(name)
        if entry is None or entry.sha256 != digest.of_file(folder / name):
            raise UserError(
                f"{folder / name} is not the file that manifest.json describes; give the folder as training"
                " wrote it."
            )
    return manifest


def _lora(path: Path) -> dict[str, Any]:
    """The settings of a plain LoRA; UserError for what B @ A alone does not say."""
    lora: dict[str, Any] = json.loads(path.read_bytes())
    odd = [name for name in _MUST_BE_OFF if lora.get(name)]
    if lora.get("bias", "none") != "none":
        odd.append("bias")
    if lora.get("init_lora_weights", True) not in _STARTS:
        odd.append("init_lora_weights")
    if odd:
        raise UserError(
            f"{path} sets {odd[0]} to {lora[odd[0]]!r}, and only plain LoRA can be exported; train the"
            " adapter without it."
        )
    alpha, rank = lora.get("lora_alpha"), lora.get("r")
    # A zero or infinite alpha would pass silently: llama.cpp reads 0 as "scale by 1".
    if not isinstance(alpha, int | float) or not 0 < alpha <= MAX_ALPHA:
        raise UserError(
            f"{path} sets lora_alpha to {alpha!r}, and it must be over 0 and at most {MAX_ALPHA}; train the"
            " adapter again."
        )
    if not isinstance(rank, int) or rank < 1:
        raise UserError(f"{path} sets r to {rank!r}, and a rank is at least 1; train the adapter again.")
    return lora


def _modules(path: Path, rank: int, shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The modules of the adapter, each with an A and a B that fit the base and nothing beside them."""
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file ({error}); train the adapter again.") from None
    modules: dict[str, None] = {}
    for name in found:
        match = _PARAMETER.fullmatch(name)
        if match is None:
            raise UserError(
                f"{path} holds {name}, which is neither lora_A nor lora_B of a layer; only plain LoRA can be"
                " exported."
            )
        modules[match["module"]] = None
    for module in modules:
        weight = shapes.get(f"{module}.weight")
        a, b = (found.get(_parameter(module, side)) for side in "AB")
        if weight is None or a != (rank, weight[1]) or b != (weight[0], rank):
            raise UserError(
                f"the adapter's matrices of {module} are {a} and {b} at rank {rank}, and the base's weight is"
                f" {weight}; train the adapter again on this base."
            )
    if not modules:
        raise UserError(f"{path} holds no matrices at all; train the adapter again.")
    return tuple(modules)


def _parameter(module: str, side: str) -> str:
    """PEFT's name of a matrix in an adapter file."""
    return f"base_model.model.{module}.lora_{side}.weight"
