"""AutoAWQ's GEMM layout, unpacked: 4-bit weights to a dense matrix, exactly."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """`[rows, columns / 8]` int32 to `[rows, columns]` int32 values of 0..15.

    Eight values share one int32 in the order 0, 4, 1, 5, 2, 6, 3, 7 (AutoAWQ, awq/modules/linear/gemm.py).
    """
    place = torch.arange(8, dtype=torch.int32, device=packed.device)
    shifts = 4 * (place // 2 + place % 2 * 4)
    return ((packed.unsqueeze(-1) >> shifts) & 15).flatten(-2)


def dequantise(
    qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The dense weight `[out, in]` of one linear layer, in `dtype`.

    `qweight` `[in, out / 8]` int32, `qzeros` `[in / group, out / 8]` int32, `scales` `[in / group, out]`.
    """
    return dequantise_rows(qweight, qzeros, scales, dtype).t().contiguous()


def dequantise_rows(
    qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The same as `[in, out]`, the order of the packed numbers.

    Computed in float32: (q - zero) * scale.
    """
    groups, out = scales.shape
    rows = qweight.shape[0]
    values = unpack(qweight).view(groups, rows // groups, out)
    centred = (values - unpack(qzeros).unsqueeze(1)).to(torch.float32)
    return (centred * scales.to(torch.float32).unsqueeze(1)).view(rows, out).to(dtype)


def dense_tensors(
    folder: Path, dtype: torch.dtype, device: str = "cpu"
) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of an AWQ checkpoint as an ordinary model names them, dequantised one at a time."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt", device=device) as file:
            names = set(file.keys())
            for name in sorted(names):
                module, _, kind = name.rpartition(".")
                if kind == "qweight":
                    qweight, qzeros, scales = (
                        file.get_tensor(f"{module}.{part}") for part in ("qweight", "qzeros", "scales")
                    )
                    yield f"{module}.weight", dequantise(qweight, qzeros, scales, dtype)
                elif kind not in ("qzeros", "scales") or f"{module}.qweight" not in names:
                    yield name, file.get_tensor(name).to(dtype)
