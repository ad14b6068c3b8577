"""Every value of an adapter: finite, with an effect, and not so large that the base is drowned.

Read in blocks, so that an adapter of any size is looked at in a few megabytes.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.errors import UserError
from serve.registry.header import Tensor
from serve.registry.lora_config import LoraConfig

BLOCK_ITEMS = 2**20
"""Values looked at in one go: a bound on memory, whatever the size of the adapter."""

MAX_CHANGE = 100
"""Root mean square of a layer's update at most: two thousand times what the weights of a base are like."""

MIN_CHANGE = 1e-9
"""What the largest of these must reach: less is lost beside weights near 0.05, in float16 and in float32."""

STORED_AS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""How numpy reads each type that an adapter may be stored in."""

_FLOAT16_MAX = 65_504


def check(path: Path, tensors: dict[str, Tensor], config: LoraConfig, allow_noop: bool) -> None:
    """UserError unless every value is a number that the engine holds, and they change the base, not drown it.

    `allow_noop` lets those pass that change nothing.
    """
    norms: dict[str, float] = {}
    for name, tensor in tensors.items():
        squares = 0.0
        for block in _blocks(path, tensor):
            # Compared this way round, because NaN is below nothing. float16 is what the engine computes in.
            if not (np.abs(block) <= _FLOAT16_MAX).all():
                raise UserError(
                    f"Tensor {name} holds NaN, infinity or a value beyond {_FLOAT16_MAX}; the training went "
                    "wrong, so retrain with a lower learning rate."
                )
            squares += float(np.square(block, dtype=np.float64).sum())
        norms[name] = math.sqrt(squares)
    changes = _changes(norms, tensors, config)
    layer = max(changes, key=lambda name: changes[name])
    if changes[layer] < MIN_CHANGE and not allow_noop:
        raise UserError(
            "Its updates are next to zero, so this adapter changes nothing; train it for more steps, or push "
            "it with --allow-noop."
        )
    if not changes[layer] <= MAX_CHANGE:
        raise UserError(
            f"The update of {layer} may change its weights by {changes[layer]:.3g} in the mean, where a "
            f"base's are near 0.05 and at most {MAX_CHANGE} goes; retrain with a lower learning rate or "
            "lora.alpha."
        )


def _changes(norms: dict[str, float], tensors: dict[str, Tensor], config: LoraConfig) -> dict[str, float]:
    """How much each layer's weights change at most, in the mean: an update is within `scale * |B| * |A|`."""
    scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    changes = {}
    for name, norm in norms.items():
        layer, side, _ = name.rsplit(".", 2)
        if side == "lora_A":
            other = f"{layer}.lora_B.weight"
            weights = tensors[name].shape[1] * tensors[other].shape[0]
            changes[layer] = scale * norm * norms[other] / math.sqrt(weights)
    return changes


def _blocks(path: Path, tensor: Tensor) -> Iterator[npt.NDArray[np.float32]]:
    """The tensor's values in blocks of at most `BLOCK_ITEMS`, as float32."""
    with path.open("rb") as file:
        file.seek(tensor.start)
        for done in range(0, tensor.items, BLOCK_ITEMS):
            stored = np.fromfile(file, STORED_AS[tensor.dtype], min(BLOCK_ITEMS, tensor.items - done))
            if tensor.dtype == "BF16":
                # numpy has no bfloat16: it is the upper half of a float32.
                yield (stored.astype(np.uint32) << 16).view(np.float32)
            else:
                yield stored.astype(np.float32)
