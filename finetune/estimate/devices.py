"""What a run may be estimated for: this machine, its CPU alone, or a device whose data sheet is known."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, RootModel

from data.errors import UserError
from data.strict import Strict, load_yaml
from finetune.resources import resource

HERE = "here"
DTYPES = {2: "bfloat16", 4: "float32"}
"""What is computed in, by its width in bytes."""


class Sheet(Strict):
    """What a data sheet says: GB, 10^12 operations a second in dense bfloat16, 10^12 bytes a second."""

    memory_gb: float = Field(gt=0)
    bf16_tflops: float = Field(gt=0)
    memory_tbs: float = Field(gt=0)


class Sheets(RootModel[dict[str, Sheet]]):
    """Data sheets by the device's name."""


@dataclass(frozen=True)
class Device:
    """`memory` in bytes: of the whole device, or what is free here. `width`: bytes of a computed number.

    `sheet` is None for this machine, which is measured.
    """

    name: str
    kind: Literal["cpu", "cuda"]
    memory: float
    width: int
    sheet: Sheet | None = None


def device(name: str) -> Device:
    """The device of that name; UserError with the nearest one when there is none."""
    if name in (HERE, "cpu"):
        return _here(name)
    sheets = load_yaml(resource("devices.yaml"), Sheets).root
    if name not in sheets:
        known = [HERE, "cpu", *sheets]
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known ones: {', '.join(known)}."
        raise UserError(f"--device {name} is not known; {hint}")
    return Device(name, "cuda", sheets[name].memory_gb * 1e9, 2, sheets[name])


def _here(name: str) -> Device:
    import torch

    from finetune.model.choice import device_name, fastest_dtype, free_bytes

    if name == "cpu" and torch.cuda.is_available():
        raise UserError(
            "--device cpu is measured where there is no GPU; hide it with CUDA_VISIBLE_DEVICES=''."
        )
    kind: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    return Device(device_name(), kind, free_bytes(), fastest_dtype().itemsize)
