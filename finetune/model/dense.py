"""Dense weights of a base, dequantised once a machine.

On a CPU they lie under `$ENXERTO_HOME/cache/dense/`, named by the base's fingerprint and dtype, and are
mapped from there: several processes share them. A GPU unpacks faster than a disk reads.
"""

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from data.home import home
from finetune import disk
from finetune.model.awq import dense_tensors


def dense_state(folder: Path, fingerprint: str | None, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """All tensors of the AWQ checkpoint in `folder` as an ordinary model names them.

    Without `fingerprint`, or on CUDA, nothing is kept on disk.
    """
    if torch.cuda.is_available():
        return dict(dense_tensors(folder, dtype, "cuda"))
    if fingerprint is None:
        return dict(dense_tensors(folder, dtype))
    name = f"{fingerprint.removeprefix('sha256:')[:32]}-{str(dtype).removeprefix('torch.')}.safetensors"
    path = home() / "cache" / "dense" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = dict(dense_tensors(folder, dtype))
        disk.need(path.parent, sum(tensor.nbytes for tensor in made.values()), "the base's dense weights")
        staged = path.with_name(f".{name}.{os.getpid()}")
        try:
            save_file(made, staged)
            with staged.open("rb") as file:
                os.fsync(file.fileno())
            staged.rename(path)
        finally:
            staged.unlink(missing_ok=True)
    state: dict[str, torch.Tensor] = load_file(path)
    return state
