"""Unpacked AWQ layers against AutoAWQ's format, written out here."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from vllm.model_executor.kernels.linear.mixed_precision.cpu import CPUWNA16LinearKernel
from vllm.model_executor.layers.quantization.auto_awq import _convert_awq_to_standard_format
from vllm.scalar_type import scalar_types

from serve.engine import cpu_awq, plugin

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The column that each four bits of an AWQ word are of."""

INPUTS, OUTPUTS = 128, 64


def _packed(values: np.ndarray) -> torch.Tensor:
    """Numbers below 16, (rows, columns), as AutoAWQ packs them: eight columns a word."""
    words = np.zeros((values.shape[0], values.shape[1] // 8), dtype=np.uint32)
    for at, column in enumerate(ORDER):
        words |= values[:, column::8].astype(np.uint32) << np.uint32(4 * at)
    return torch.from_numpy(words.view(np.int32))


def _layer(group: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.nn.Module, torch.Tensor]:
    """A layer as vLLM hands it to its kernel, and its weights (in, out) in float64."""
    random = np.random.default_rng(seed)
    weights = random.integers(0, 16, (INPUTS, OUTPUTS))
    zeros = random.integers(0, 16, (INPUTS // group, OUTPUTS))
    scales = torch.from_numpy(random.uniform(0.001, 0.1, zeros.shape)).bfloat16()
    layer = torch.nn.Module()
    for name, value in (("qweight", _packed(weights)), ("qzeros", _packed(zeros)), ("scales", scales)):
        setattr(layer, name, torch.nn.Parameter(value, requires_grad=False))
    for place in ("rank", "world_size"):  # there is no group of processes here
        monkeypatch.setattr(f"vllm.model_executor.parameter.get_tensor_model_parallel_{place}", lambda: 0)
    _convert_awq_to_standard_format(layer, "qweight", "qzeros", 4)
    centered = torch.from_numpy(weights - zeros.repeat(group, 0)).double()
    return layer, centered * scales.double().repeat_interleave(group, 0)


def _kernel() -> object:
    config = SimpleNamespace(weight_type=scalar_types.uint4)
    kernel = CPUWNA16LinearKernel.__new__(CPUWNA16LinearKernel)
    kernel.config, kernel.w_q_name, kernel.w_s_name, kernel.w_zp_name = config, "qweight", "scales", "qzeros"
    return kernel


@pytest.mark.parametrize("group", [32, 64, INPUTS])
@pytest.mark.parametrize("biased", [False, True])
def test_a_layer_computes_what_its_file_says(
    group: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, weights = _layer(group, group, monkeypatch)
    x = torch.randn(5, INPUTS, generator=torch.Generator().manual_seed(1)).bfloat16()
    bias = torch.linspace(-1, 1, OUTPUTS).bfloat16() if biased else None
    cpu_awq.unpack(_kernel(), layer)
    got = cpu_awq.apply(_kernel(), layer, x, bias)
    expected = x.double() @ weights + (0 if bias is None else bias.double())
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.double(), expected, rtol=2**-8, atol=1e-6)
    assert not any(parameter.numel() for parameter in layer.parameters()), "the packed ones are gone"


def test_only_a_build_without_the_kernel_gets_these(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("process_weights_after_loading", "apply_weights"):
        monkeypatch.setattr(CPUWNA16LinearKernel, name, getattr(CPUWNA16LinearKernel, name))
    own = vars(CPUWNA16LinearKernel)["apply_weights"]
    monkeypatch.setattr(cpu_awq, "has_kernel", lambda: True)
    plugin.install_operators()
    assert vars(CPUWNA16LinearKernel)["apply_weights"] is own
    monkeypatch.setattr(cpu_awq, "has_kernel", lambda: False)
    plugin.install_operators()
    assert vars(CPUWNA16LinearKernel)["apply_weights"] is cpu_awq.apply
