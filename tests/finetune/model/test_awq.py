"""AutoAWQ's layout, against an independent packing."""

import numpy as np
import torch

from finetune.model.awq import dequantise, unpack

# awq/modules/linear/gemm.py: nibble i of a packed int32 holds column ORDER[i] of its eight.
ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack(values: np.ndarray) -> torch.Tensor:
    """`[rows, columns]` of 0..15 to `[rows, columns / 8]` int32, in plain loops."""
    rows, columns = values.shape
    packed = np.zeros((rows, columns // 8), dtype=np.uint32)
    for group in range(columns // 8):
        for nibble, column in enumerate(ORDER):
            packed[:, group] |= values[:, group * 8 + column].astype(np.uint32) << np.uint32(4 * nibble)
    return torch.from_numpy(packed.view(np.int32))


def test_unpack_is_the_inverse_of_packing() -> None:
    values = np.random.default_rng(0).integers(0, 16, (24, 40))
    assert torch.equal(unpack(pack(values)), torch.from_numpy(values).to(torch.int32))


def test_dequantise_is_scale_times_distance_from_zero() -> None:
    random = np.random.default_rng(1)
    values, zeros = random.integers(0, 16, (32, 16)), random.integers(0, 16, (4, 16))
    scales = random.random((4, 16)).astype(np.float16)
    expected = np.empty((16, 32), dtype=np.float32)
    for row in range(32):
        for column in range(16):
            distance = float(values[row, column] - zeros[row // 8, column])
            expected[column, row] = np.float32(distance) * np.float32(scales[row // 8, column])
    dense = dequantise(pack(values), pack(zeros), torch.from_numpy(scales), torch.float32)
    assert torch.equal(dense, torch.from_numpy(expected))
