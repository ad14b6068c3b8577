"""The safetensors header, read by an own bounded pass before any library sees the file.

Format: 8 bytes little endian length, that many bytes of JSON, then the tensors' bytes back to back
(github.com/huggingface/safetensors, "Format"). The library itself accepts repeated keys, odd names and
shapes of no bytes, so none of its word is taken here.
"""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from serve.registry import strict_json

MAX_HEADER_BYTES = 8 * 2**20
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 4
MAX_VALUES = 12 * MAX_TENSORS
"""A tensor's entry has ten at most."""

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}

_OTHERS = (
    (b"version https://git-lfs", "it is Git LFS's pointer to the file", "fetch the file with `git lfs pull`"),
    (b"PK\x03\x04", "it is a zip archive, as pickles of torch are", "write it as safetensors"),
    (b"\x80", "it is a pickle", "write it as safetensors where you trust it"),
    (b"GGUF", "it is llama.cpp's GGUF", "take the file that it was converted from"),
    (b"<", "it is a web page", "download the file itself"),
)
"""What a file begins with that is another kind of file, what that is, and what to do."""

_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+){0,31}")


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: `start` counts bytes from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def items(self) -> int:
        return math.prod(self.shape)


def read(path: Path) -> dict[str, Tensor]:
    """Every tensor's place by name; UserError, which says why, when the file is not a whole safetensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            start = prefix + file.read(32)
            for begin, what, step in _OTHERS:
                if start.startswith(begin):
                    raise _no_safetensors(path, what, step)
            raise _no_safetensors(
                path,
                f"its header claims {length} bytes in a file of {size}, where at most {MAX_HEADER_BYTES} go",
            )
        data = file.read(length)
    try:
        # As it says in the format, and so that it can be nothing but an object.
        if not data.startswith(b"{"):
            raise ValueError("its header does not begin with a brace")
        return _tensors(strict_json.parse(data, MAX_VALUES), 8 + length, size)
    except ValueError as error:
        raise _no_safetensors(path, str(error)) from None


def _no_safetensors(path: Path, why: str, step: str = "write it with PEFT again") -> UserError:
    return UserError(f"{path.name} is no safetensors file that may be loaded ({why}); {step}.")


def _tensors(entries: dict[str, Any], first: int, size: int) -> dict[str, Tensor]:
    """Tensors of a parsed header, whose bytes must fill the file from `first` to `size` without a gap."""
    notes = entries.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise ValueError("its __metadata__ is not an object of strings")
    if len(entries) > MAX_TENSORS:
        raise ValueError(f"it holds {len(entries)} tensors, where at most {MAX_TENSORS} go")
    tensors = {name: _tensor(name, entry, first) for name, entry in entries.items()}
    end = first
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if tensor.start != end:
            raise ValueError(f"tensor {name} begins at byte {tensor.start}, where {end} was due")
        end += tensor.items * ITEM_BYTES[tensor.dtype]
    if end != size:
        raise ValueError(f"its tensors end at byte {end} of {size}")
    return tensors


def _tensor(name: str, entry: Any, first: int) -> Tensor:
    if len(name) > 256 or _NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:100]!r} is no tensor name")
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]} if len(entry) == 3:
            pass
        case _:
            raise ValueError(f"tensor {name} lacks dtype, shape or data_offsets, or has more than these")
    if dtype not in ITEM_BYTES:
        raise ValueError(
            f"tensor {name} has the unknown dtype {dtype[:20]!r}, where F32, F16 and BF16 are served"
        )
    # `type(..) is int`, because True is an int to isinstance.
    if not 1 <= len(shape) <= MAX_DIMENSIONS or not all(type(d) is int and 0 < d < 2**40 for d in shape):
        raise ValueError(f"tensor {name} needs 1 to {MAX_DIMENSIONS} dimensions of at least 1")
    if not all(type(offset) is int and offset >= 0 for offset in (start, end)):
        raise ValueError(f"tensor {name} has data_offsets that are no byte counts")
    tensor = Tensor(dtype, tuple(shape), first + start)
    if end - start != tensor.items * ITEM_BYTES[dtype]:
        raise ValueError(f"tensor {name} has {end - start} bytes for shape {shape} of {dtype}")
    return tensor
