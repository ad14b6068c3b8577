"""What may enter: an adapter of plain LoRA, whole, finite, with an effect, made for exactly this base.

The order is cheap before dear: files, config, manifest, header, shapes, and last every value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES, AdapterManifest, BaseManifest, first_error
from serve.registry import header, lora_config, strict_json
from serve.registry.base_modules import Modules
from serve.registry.header import Tensor
from serve.registry.lora_config import LoraConfig

BLOCK_ITEMS = 2**20
"""Values looked at in one go: a bound on memory, whatever the size of the adapter."""

_PARAMETER = re.compile(r"base_model\.model\.(?P<module>[A-Za-z0-9_.]+)\.lora_(?P<side>[AB])\.weight")
_FLOAT16_MAX = 65_504
_STORED_AS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Checked:
    """An adapter that passed; the only thing that the registry takes in. `digests` is by file name."""

    folder: Path
    digests: dict[str, str]
    rank: int
    base_fingerprint: str


def check(folder: Path, base: BaseManifest, modules: Modules, max_lora_rank: int) -> Checked:
    """The adapter in `folder`, proven loadable on this base; UserError with the first thing that is wrong."""
    digests = _digests(folder)
    config = lora_config.parse((folder / "adapter_config.json").read_bytes())
    if config.r > max_lora_rank:
        raise UserError(
            f"The adapter has rank {config.r}; this server holds ranks up to {max_lora_rank}. "
            f"Retrain with lora.r: {max_lora_rank}, or start the server with a higher --max-lora-rank."
        )
    _check_manifest((folder / "manifest.json").read_bytes(), base, digests)
    weights = folder / "adapter_model.safetensors"
    tensors = header.read(weights)
    _check_shapes(tensors, config, modules)
    _check_values(weights, tensors)
    return Checked(folder, digests, config.r, base.fingerprint)


def _digests(folder: Path) -> dict[str, str]:
    found = sorted(path.name for path in folder.iterdir())
    if found != sorted(ADAPTER_FILES) or not all((folder / name).is_file() for name in found):
        raise UserError(f"An adapter is exactly {', '.join(ADAPTER_FILES)}; this one has {', '.join(found)}.")
    return {name: digest.of_file(folder / name) for name in ADAPTER_FILES}


def _check_manifest(data: bytes, base: BaseManifest, digests: dict[str, str]) -> None:
    try:
        manifest = AdapterManifest.model_validate(strict_json.parse(data))
    except ValidationError as error:
        raise _bad_manifest(first_error(error)) from None
    except ValueError as error:
        raise _bad_manifest(str(error)) from None
    if manifest.base.fingerprint != base.fingerprint:
        made_for = f"{manifest.base.name[:80]!r} ({manifest.base.fingerprint[:19]})"
        raise UserError(
            f"The adapter was trained on base {made_for}; this server runs {base.name!r} "
            f"({base.fingerprint[:19]}). Retrain on it, or start the server with the other base."
        )
    if manifest.renderer != base.identity.renderer:
        raise UserError(
            f"The adapter learnt the chat format {_renderer(manifest.renderer)}; this server speaks "
            f"{_renderer(base.identity.renderer)}. Retrain with the base's own format."
        )
    for name in ADAPTER_FILES[:2]:
        entry = manifest.files.get(name)
        if entry is None or entry.sha256 != digests[name]:
            raise UserError(
                f"manifest.json does not describe this {name} ({digests[name][:19]}); push the folder as "
                "training wrote it."
            )


def _bad_manifest(why: str) -> UserError:
    return UserError(f"manifest.json is no adapter manifest ({why}); push the folder as training wrote it.")


def _renderer(renderer: Any) -> str:
    return f"{renderer.name} {renderer.version} {renderer.digest[:19]}"


def _check_shapes(tensors: dict[str, Tensor], config: LoraConfig, modules: Modules) -> None:
    """Every targeted module of the base has one A [r, in] and one B [out, r], and there is nothing else."""
    targets = tuple(config.target_modules)
    if idle := [target for target in targets if not any(_targets(target, name) for name in modules)]:
        raise UserError(
            f"target_modules names {idle[0]!r}, which this base does not have; retrain on this base."
        )
    expected: dict[str, tuple[int, int]] = {}
    for name, (inputs, outputs) in modules.items():
        if any(_targets(target, name) for target in targets):
            expected[f"base_model.model.{name}.lora_A.weight"] = (config.r, inputs)
            expected[f"base_model.model.{name}.lora_B.weight"] = (outputs, config.r)
    for name, tensor in tensors.items():
        if _PARAMETER.fullmatch(name) is None:
            raise UserError(
                f"Tensor {name} is neither lora_A nor lora_B of a layer; save the adapter with PEFT again."
            )
        if name not in expected:
            raise UserError(
                f"Tensor {name} belongs to no layer of this base that target_modules names; retrain it."
            )
        if tensor.shape != expected[name]:
            raise UserError(
                f"Tensor {name} has shape {list(tensor.shape)}, where base and rank ask for "
                f"{list(expected[name])}; retrain on this base."
            )
        if tensor.dtype not in _STORED_AS:
            raise UserError(f"Tensor {name} is {tensor.dtype}; save the adapter in F32, F16 or BF16.")
    if absent := sorted(expected.keys() - tensors.keys()):
        raise UserError(
            f"{len(absent)} of {len(expected)} tensors are absent, the first is {absent[0]}; "
            "save the whole adapter with PEFT again."
        )


def _targets(target: str, module: str) -> bool:
    """PEFT's rule for a list of target modules: the whole name, or its last parts."""
    return module == target or module.endswith("." + target)


def _check_values(path: Path, tensors: dict[str, Tensor]) -> None:
    has_effect = False
    for name, tensor in tensors.items():
        for block in _blocks(path, tensor):
            # Compared this way round, because NaN is below nothing. float16 is what the engine computes in.
            if not (np.abs(block) <= _FLOAT16_MAX).all():
                raise UserError(
                    f"Tensor {name} holds NaN, infinity or a value beyond {_FLOAT16_MAX}; the training went "
                    "wrong, so retrain with a lower learning rate."
                )
            has_effect = has_effect or (".lora_B." in name and bool(block.any()))
    if not has_effect:
        raise UserError("Every lora_B is zero, so this adapter changes nothing; train it for more steps.")


def _blocks(path: Path, tensor: Tensor) -> Iterator[npt.NDArray[np.float32]]:
    """The tensor's values in blocks of at most `BLOCK_ITEMS`, as float32."""
    with path.open("rb") as file:
        file.seek(tensor.start)
        for done in range(0, tensor.items, BLOCK_ITEMS):
            stored = np.fromfile(file, _STORED_AS[tensor.dtype], min(BLOCK_ITEMS, tensor.items - done))
            if tensor.dtype == "BF16":
                # numpy has no bfloat16: it is the upper half of a float32.
                yield (stored.astype(np.uint32) << 16).view(np.float32)
            else:
                yield stored.astype(np.float32)
