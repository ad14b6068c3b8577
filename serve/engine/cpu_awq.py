"""AWQ products for vLLM on a CPU without AVX-512: its AVX2 build lacks `cpu_gemm_wna16`, and dies for it.

The weights are unpacked once, when they have been loaded. In float32, of which such a CPU makes several
times as many products as of bfloat16: four bytes a weight, where the kernel reads a half.
"""

from typing import Any

import torch
from torch.nn.functional import linear
from vllm.model_executor.kernels.linear.mixed_precision.cpu import CPUWNA16LinearKernel
from vllm.model_executor.layers.quantization.utils.quant_utils import unpack_quantized_values_into_int32
from vllm.platforms import current_platform


def install() -> None:
    """Have vLLM's AWQ layers unpacked on a CPU whose build has no kernel for them."""
    if current_platform.is_cpu() and not has_kernel():
        CPUWNA16LinearKernel.process_weights_after_loading = unpack
        CPUWNA16LinearKernel.apply_weights = apply


def has_kernel() -> bool:
    """Whether vLLM's build for this CPU has a kernel for AWQ, as that for AVX-512 does."""
    return hasattr(torch.ops._C, "cpu_gemm_wna16")


def unpack(kernel: Any, layer: torch.nn.Module) -> None:
    """Keep a layer's weights as `layer.dense`, float32 of (out, in), in place of its packed ones.

    vLLM has put them from AWQ's order into compressed-tensors': the weights are (in / 8, out), their zeros
    (out / 8, groups), and their scales (groups, out).
    """
    packed, scales, packed_zeros = kernel._get_weight_params(layer)
    kind = kernel.config.weight_type
    weights = unpack_quantized_values_into_int32(packed.data, kind, packed_dim=0)
    zeros = unpack_quantized_values_into_int32(packed_zeros.data, kind, packed_dim=0).T
    rows = len(weights) // len(scales)
    centered = (weights - zeros.repeat_interleave(rows, 0)).float()
    layer.dense = (centered * scales.data.float().repeat_interleave(rows, 0)).T.contiguous()
    for parameter in (packed, packed_zeros, scales):
        parameter.data = parameter.data.new_empty(0)


def apply(
    kernel: Any, layer: torch.nn.Module, x: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """x @ W.T + bias; x is (rows, in), and the answer (rows, out) of x's type."""
    return linear(x.float(), layer.dense, None if bias is None else bias.float()).to(x.dtype)
