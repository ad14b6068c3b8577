"""How the frozen base is held on this machine, with the measurement that says why."""

import math
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

_ROOM = 0.5
"""Of the free memory: what dense weights may take. The rest is for activations and the adapter."""


@dataclass(frozen=True)
class Choice:
    """`weights` is dense or packed, computing in `dtype`; `why` is for people."""

    weights: str
    dtype: torch.dtype
    why: str

    def __str__(self) -> str:
        return f"{self.weights} {str(self.dtype).removeprefix('torch.')}"


def choose(folder: Path, wanted: str = "auto", dtype: torch.dtype | None = None) -> Choice:
    """What `wanted` (auto, dense or packed) means here.

    `auto` is dense wherever that leaves half of the free memory: unpacking 4-bit weights in every pass costs
    time, and gives the same numbers.
    """
    dtype = dtype or fastest_dtype()
    needed, free = dense_bytes(folder, dtype), free_bytes()
    fits = needed <= _ROOM * free
    room = f"dense weights take {needed / 1e9:.1f} GB of {free / 1e9:.1f} GB free"
    speeds = ", ".join(
        f"{str(kind).removeprefix('torch.')} {rate / 1e9:.0f} GFLOP/s" for kind, rate in _speeds().items()
    )
    weights = wanted if wanted != "auto" else ("dense" if fits else "packed")
    return Choice(weights, dtype, "; ".join(part for part in (room, speeds) if part))


def fastest_dtype() -> torch.dtype:
    """bfloat16 or float32, whichever multiplies matrices faster here; bfloat16 on CUDA."""
    speeds = _speeds()
    return max(speeds, key=lambda kind: speeds[kind]) if speeds else torch.bfloat16


def dense_bytes(folder: Path, dtype: torch.dtype) -> int:
    """Bytes of the base's parameters in `dtype`, from the headers of its files alone."""
    from safetensors import safe_open

    numbers = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                shape = file.get_slice(name).get_shape()
                if name.endswith(".qweight"):
                    numbers += 8 * math.prod(shape)
                elif not name.endswith((".qzeros", ".scales")):
                    numbers += math.prod(shape)
    return int(numbers * dtype.itemsize)


def free_bytes() -> int:
    """Memory that is free now: the GPU's, or the machine's (what the page cache can give back is free)."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (available,) = (line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    except (OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def device_name() -> str:
    """The GPU's name, or how many of a CPU's cores are used."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"


@cache
def _speeds() -> dict[torch.dtype, float]:
    """FLOP/s of a matrix product for each dtype that training may compute in; empty on CUDA.

    Processors differ by a factor of eight between the two: with AVX512-BF16 units bfloat16 is four times
    faster than float32, without them it is half as fast. Each is timed three times, interleaved, and its
    best run counts.
    """
    if torch.cuda.is_available():
        return {}
    best: dict[torch.dtype, float] = {}
    for _ in range(3):
        for dtype in (torch.float32, torch.bfloat16):
            left, right = torch.ones(512, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
            left @ right
            started = time.perf_counter()
            for _ in range(4):
                left @ right
            rate = 4 * 2 * 512 * 1024 * 1024 / (time.perf_counter() - started)
            best[dtype] = max(best.get(dtype, 0.0), rate)
    return best
