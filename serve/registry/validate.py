"""What may enter: an adapter of plain LoRA, whole, finite, with an effect, made for exactly this base.

The order is cheap before dear: files, config, manifest, header, shapes, and last every value.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data import digest
from data.errors import UserError, shown
from data.manifest import (
    ADAPTER_FILES,
    OPTIONAL_FILES,
    AdapterManifest,
    AdoptedManifest,
    BaseManifest,
)
from data.mistakes import first_error
from data.probes import FILE as PROBES
from data.probes import Probes
from serve.registry import header, lora_config, strict_json, values
from serve.registry.base_modules import Modules
from serve.registry.header import Tensor
from serve.registry.lora_config import LoraConfig

_PARAMETER = re.compile(r"base_model\.model\.(?P<module>[A-Za-z0-9_.]+)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True)
class Checked:
    """An adapter that passed; the only thing that the registry takes in.

    `digests` is by file name. `config` is what the engine is given for the adapter's own. `changed` of the
    base's `modules` linear layers are changed by it.
    """

    folder: Path
    digests: dict[str, str]
    manifest: AdapterManifest | AdoptedManifest
    config: bytes
    rank: int
    base_fingerprint: str
    changed: int
    modules: int


def check(
    folder: Path,
    base: BaseManifest | None,
    modules: Modules | None,
    max_lora_rank: int,
    allow_noop: bool = False,
) -> Checked:
    """The adapter in `folder`, proven loadable on this base; UserError with the first thing that is wrong.

    `allow_noop` lets one pass that changes nothing. Where the base is not at hand, what it alone can tell is
    left open.
    """
    digests = _digests(folder)
    config = lora_config.parse((folder / "adapter_config.json").read_bytes())
    if config.r > max_lora_rank:
        raise UserError(
            f"The adapter has rank {config.r}; this server holds ranks up to {max_lora_rank}. "
            f"Retrain with lora.r: {max_lora_rank}, or start the server with a higher --max-lora-rank."
        )
    manifest = _check_manifest(folder, base, digests)
    if config.base_model_name_or_path not in (None, "", manifest.base.name):
        raise UserError(
            f"adapter_config.json names the base {shown(config.base_model_name_or_path)!r}, and "
            f"manifest.json {shown(manifest.base.name)!r}; push the folder as training wrote it."
        )
    _check_notes(folder, digests)
    weights = folder / "adapter_model.safetensors"
    tensors = header.read(weights)
    modules = _own_modules(tensors) if modules is None else modules
    _check_shapes(tensors, config, modules)
    values.check(weights, tensors, config, allow_noop)
    return Checked(
        folder=folder,
        digests=digests,
        manifest=manifest,
        config=lora_config.rewritten(config),
        rank=config.r,
        base_fingerprint=manifest.base.fingerprint,
        changed=len(tensors) // 2,
        modules=len(modules),
    )


def _digests(folder: Path) -> dict[str, str]:
    found = sorted(path.name for path in folder.iterdir())
    if not all((folder / name).is_file() for name in found):
        raise UserError(
            f"An adapter is a folder of plain files; this one has {shown(', '.join(found), 200)}."
        )
    check_names(found)
    return {name: digest.of_file(folder / name) for name in found}


def check_names(names: Collection[str]) -> None:
    """UserError unless these are all of an adapter's files, and nothing that is not one of them."""
    if set(ADAPTER_FILES) <= set(names) <= {*ADAPTER_FILES, *OPTIONAL_FILES}:
        return
    given = shown(", ".join(sorted(names)), 300) or "nothing"
    raise UserError(
        f"An adapter is {', '.join(ADAPTER_FILES)}, and {' or '.join(OPTIONAL_FILES)} where there is one; "
        f"given was {given}."
    )


def _check_manifest(
    folder: Path, base: BaseManifest | None, digests: dict[str, str]
) -> AdapterManifest | AdoptedManifest:
    manifest: AdapterManifest | AdoptedManifest
    try:
        parsed = strict_json.parse((folder / "manifest.json").read_bytes(), strict_json.FEW_VALUES)
        if isinstance(parsed, dict) and "adopted" in parsed:
            manifest = AdoptedManifest.model_validate(parsed, strict=True)
        else:
            manifest = AdapterManifest.model_validate(parsed, strict=True)
    except ValidationError as error:
        raise _bad_manifest(first_error(error)) from None
    except ValueError as error:
        raise _bad_manifest(str(error)) from None
    if base and manifest.base.fingerprint != base.fingerprint:
        made_for = f"{shown(manifest.base.name)!r} ({manifest.base.fingerprint[:19]})"
        did = "was mapped to" if isinstance(manifest, AdoptedManifest) else "was trained on"
        raise UserError(
            f"The adapter {did} base {made_for}; this server runs {base.name!r} "
            f"({base.fingerprint[:19]}). Retrain on it, or start the server with the other base."
        )
    if base and isinstance(manifest, AdapterManifest) and manifest.renderer != base.identity.renderer:
        raise UserError(
            f"The adapter learnt the chat format {_renderer(manifest.renderer)}; this server speaks "
            f"{_renderer(base.identity.renderer)}. Retrain with the base's own format."
        )
    for name in [*ADAPTER_FILES[:2], *manifest.files]:
        entry, found = manifest.files.get(name), digests.get(name)
        if entry is None or entry.sha256 != found or entry.size != (folder / name).stat().st_size:
            raise UserError(
                f"manifest.json does not describe this {shown(name)} ({(found or 'absent')[:19]}); push the "
                "folder as training wrote it."
            )
    return manifest


def _check_notes(folder: Path, digests: dict[str, str]) -> None:
    """What comes with an adapter as JSON is read too, by pages and by checks."""
    for name in sorted(digests.keys() & {"probes.json", "report.json"}):
        try:
            _check_note(folder / name, name == PROBES)
        except ValueError as error:
            raise UserError(
                f"{name} is not the JSON that it should be ({error}); mend it, or leave it out."
            ) from None


def check_probes(path: Path) -> None:
    """UserError unless these are probes."""
    try:
        _check_note(path, probes=True)
    except ValueError as error:
        raise UserError(f"{path.name} are no probes ({error}).") from None


def _check_note(path: Path, probes: bool) -> None:
    """ValueError with the first thing that is wrong."""
    parsed = strict_json.parse(path.read_bytes())
    if not isinstance(parsed, dict):
        raise ValueError("it is not an object")
    if probes:
        try:
            Probes.model_validate(parsed)
        except ValidationError as error:
            raise ValueError(first_error(error)) from None


def _bad_manifest(why: str) -> UserError:
    return UserError(f"manifest.json is no adapter manifest ({why}); push the folder as training wrote it.")


def _renderer(renderer: Any) -> str:
    return f"{renderer.name} {renderer.version} {renderer.digest[:19]}"


def _check_shapes(tensors: dict[str, Tensor], config: LoraConfig, modules: Modules) -> None:
    """Every targeted module of the base has one A [r, in] and one B [out, r], and there is nothing else."""
    targets = tuple(config.target_modules)
    for name in modules:
        left = next((one for one in config.exclude_modules or () if _targets(one, name)), None)
        if left and any(_targets(target, name) for target in targets):
            raise UserError(
                f"exclude_modules names {left!r}, which is among the target_modules; name there what is "
                "changed alone."
            )
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
        if tensor.dtype not in values.STORED_AS:
            raise UserError(f"Tensor {name} is {tensor.dtype}; save the adapter in F32, F16 or BF16.")
    if absent := sorted(expected.keys() - tensors.keys()):
        raise UserError(
            f"{len(absent)} of {len(expected)} tensors are absent, the first is {absent[0]}; "
            "save the whole adapter with PEFT again."
        )


def _own_modules(tensors: dict[str, Tensor]) -> Modules:
    """The layers that an adapter seems to be for: inputs by its A, outputs by its B."""
    found: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        if (match := _PARAMETER.fullmatch(name)) and len(tensor.shape) == 2:
            inputs, outputs = found.get(match["module"], (0, 0))
            own = (tensor.shape[1], outputs) if match["side"] == "A" else (inputs, tensor.shape[0])
            found[match["module"]] = own
    return found


def _targets(target: str, module: str) -> bool:
    """PEFT's rule for a list of target modules: the whole name, or its last parts."""
    return module == target or module.endswith("." + target)
