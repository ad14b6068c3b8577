"""Matrices from one safetensors file to another, one at a time: scaled, padded, turned or as they are."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.errors import UserError
from serve.registry.header import ITEM_BYTES, Tensor

Values = npt.NDArray[np.float32]

_READS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Source:
    """A tensor of a file, [rows, columns]; `transposed` where it lies the other way round."""

    path: Path
    name: str
    tensor: Tensor
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.tensor.dtype not in _READS:
            raise UserError(
                f"Tensor {self.name} is {self.tensor.dtype}; save the adapter in F32, F16 or BF16."
            )
        if len(self.tensor.shape) != 2:
            raise UserError(
                f"Tensor {self.name} has {len(self.tensor.shape)} dimensions, where a layer's matrix has "
                "2; save "
                "the adapter with PEFT's save_pretrained."
            )

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.tensor.shape
        return (columns, rows) if self.transposed else (rows, columns)

    def values(self) -> Values:
        with self.path.open("rb") as file:
            file.seek(self.tensor.start)
            stored = np.fromfile(file, _READS[self.tensor.dtype], self.tensor.items)
        if self.tensor.dtype == "BF16":
            read = (stored.astype(np.uint32) << 16).view(np.float32)
        else:
            with np.errstate(over="ignore"):  # what no float32 holds is infinite, and refused as such
                read = stored.astype(np.float32)
        shaped = read.reshape(self.tensor.shape)
        return shaped.T if self.transposed else shaped


@dataclass(frozen=True)
class Matrix:
    """A tensor to write: `source` byte for byte where nothing is `changed`, else as float32 of `shape`."""

    source: Source
    shape: tuple[int, int]
    changed: Callable[[Values], Values] | None = None

    @property
    def as_it_is(self) -> bool:
        return (
            self.changed is None
            and not self.source.transposed
            and self.shape == self.source.shape
            and self.source.tensor.dtype != "F64"
        )

    @property
    def dtype(self) -> str:
        return self.source.tensor.dtype if self.as_it_is else "F32"


def write(path: Path, matrices: dict[str, Matrix]) -> None:
    """A safetensors file of `matrices` by name, as PEFT writes it."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, matrix in sorted(matrices.items()):
        begin, end = end, end + ITEM_BYTES[matrix.dtype] * matrix.shape[0] * matrix.shape[1]
        header[name] = {"dtype": matrix.dtype, "shape": list(matrix.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("xb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, matrix in sorted(matrices.items()):
            if matrix.as_it_is:
                with matrix.source.path.open("rb") as read:
                    read.seek(matrix.source.tensor.start)
                    left = ITEM_BYTES[matrix.dtype] * matrix.source.tensor.items
                    while left:
                        block = read.read(min(BLOCK_BYTES, left))
                        if not block:
                            raise UserError(f"{matrix.source.path} became shorter while it was read.")
                        file.write(block)
                        left -= len(block)
                continue
            values = matrix.source.values()
            if matrix.changed is not None:
                values = matrix.changed(values)
            padded = np.zeros(matrix.shape, "<f4")
            padded[: values.shape[0], : values.shape[1]] = values
            file.write(padded.tobytes())
