"""Which linear layers a base has, and how wide: read from the headers of its weights alone."""

from pathlib import Path

from data.errors import UserError
from serve.registry import header

Modules = dict[str, tuple[int, int]]
"""Module name, as in `model.layers.0.mlp.up_proj`, to its (in, out) features."""

_NOT_LINEAR = ("embed_tokens", "lm_head")


def read(base_folder: Path) -> Modules:
    """The layers that an adapter may change; UserError when the folder holds no weights.

    The engine adapts neither the embedding nor the output head here, so those are left out.
    """
    modules: Modules = {}
    for path in sorted(base_folder.glob("*.safetensors")):
        for name, tensor in header.read(path).items():
            module, _, kind = name.rpartition(".")
            if kind == "qweight":
                # AutoAWQ's GEMM format packs eight 4 bit outputs into one int32: [in, out / 8].
                modules[module] = (tensor.shape[0], tensor.shape[1] * 8)
            elif kind == "weight" and len(tensor.shape) == 2 and not module.endswith(_NOT_LINEAR):
                modules[module] = (tensor.shape[1], tensor.shape[0])
    if not modules:
        raise UserError(
            f"{base_folder} holds no safetensors weights with linear layers; build the base again."
        )
    return modules
