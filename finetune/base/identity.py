"""What makes a base the base: its fingerprint, and the check that it is AWQ at all."""

import json
from pathlib import Path
from typing import Any

from data import digest
from data.errors import UserError
from data.manifest import BaseIdentity, BaseManifest
from finetune.render import mistral_file, open_renderer

# Fields that change with the library that saved the file, not with the model.
_VOLATILE = {"_name_or_path", "transformers_version", "torch_dtype", "dtype"}


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of an AWQ model; UserError when it is absent or of another kind."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} is no model: it has no config.json; give a folder with AutoAWQ weights.")
    config: dict[str, Any] = json.loads(path.read_text())
    quantization = config.get("quantization_config") or {}
    method = quantization.get("quant_method")
    if method != "awq":
        raise UserError(
            f"{folder} is not an AWQ base: its quantisation is {method or 'none'}; quantise it with AutoAWQ"
            " (4 bit, GEMM)."
        )
    bits, version = quantization.get("bits"), str(quantization.get("version", "gemm")).lower()
    if bits != 4 or version != "gemm":
        raise UserError(
            f"{folder} holds AWQ weights of {bits} bit in {version} layout; only 4 bit in gemm layout can be"
            " trained and served here, so quantise it again with version GEMM."
        )
    return config


def describe(folder: Path, name: str, source: dict[str, Any], quality: dict[str, float]) -> BaseManifest:
    """The manifest of the base in `folder`; reads every weight file once."""
    config = read_config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError(f"{folder} holds no .safetensors weights; download the base completely.")
    tokenizer = mistral_file(folder) or folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise UserError(f"{folder} has neither tekken.json nor tokenizer.json; add the model's tokenizer.")
    identity = BaseIdentity(
        config=digest.of_json({key: value for key, value in config.items() if key not in _VOLATILE}),
        quantization=config["quantization_config"],
        weights={path.name: digest.of_file(path) for path in weights},
        tokenizer=digest.of_file(tokenizer),
        renderer=open_renderer(folder).identity,
    )
    return BaseManifest(
        name=name,
        source=source,
        identity=identity,
        fingerprint=BaseManifest.fingerprint_of(identity),
        quality=quality,
    )
