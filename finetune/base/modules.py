"""Which layers of a base an adapter may change: from the headers of its weights alone, without torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import UserError

_NOT_ADAPTED = ("embed_tokens", "lm_head")
"""Matrices too, but the server adapts neither the embedding nor the output head."""


def adaptable(folder: Path) -> list[str]:
    """Names such as `model.layers.0.mlp.up_proj`; none where the folder holds no weights."""
    from safetensors import SafetensorError, safe_open

    names: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:  # "pt" would import torch
                for name in file.keys():  # noqa: SIM118 - no mapping
                    module, _, kind = name.rpartition(".")
                    matrix = kind == "weight" and len(file.get_slice(name).get_shape()) == 2
                    if kind == "qweight" or (matrix and not module.endswith(_NOT_ADAPTED)):
                        names.append(module)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path} cannot be read ({error}); build or download the base again.") from None
    return names


def unknown_targets(targets: Sequence[str], modules: Iterable[str]) -> str | None:
    """What is wrong with `lora.targets`, as a sentence, or None where each matches one of `modules`.

    PEFT's rule for a list of targets: a module's whole name, or its last parts.
    """
    modules = list(modules)
    unknown = [
        target
        for target in targets
        if not any(name == target or name.endswith(f".{target}") for name in modules)
    ]
    if not unknown:
        return None
    known = ", ".join(sorted({name.rpartition(".")[2] for name in modules}))
    match = "matches" if len(unknown) == 1 else "match"
    return (
        f"lora.targets names {', '.join(unknown)}, which {match} no module of this base that an adapter may"
        f" change; it has {known}."
    )
