"""A linear layer that stays in 4 bits: unpacked for each product, forward and backward, and never kept.

Ready-made AWQ kernels either cannot train or stop training without a word (see `docs/design.md`). Here the
product is torch's own, over weights that `dequantise` writes for the moment, so a gradient cannot get lost;
on CUDA torch.compile makes one kernel of the unpacking.
"""

from functools import cache
from typing import Any

import torch

from finetune.model.awq import dequantise, dequantise_rows


class PackedLinear(torch.nn.Linear):
    """`x W'` for AutoAWQ's `qweight`, `qzeros` and `scales` (shapes in `finetune.model.awq`)."""

    def __init__(
        self,
        qweight: torch.Tensor,
        qzeros: torch.Tensor,
        scales: torch.Tensor,
        dtype: torch.dtype,
        bias: torch.Tensor | None = None,
    ) -> None:
        torch.nn.Module.__init__(self)  # nn.Linear's own would make the dense weight
        self.in_features, self.out_features = qweight.shape[0], scales.shape[1]
        self.bias = bias
        self.dtype = dtype
        for name, value in (("qweight", qweight), ("qzeros", qzeros), ("scales", scales)):
            self.register_buffer(name, value)

    @property
    def weight(self) -> torch.Tensor:
        """`[out, in]`, made anew at each look."""
        packed = (self.qweight, self.qzeros, self.scales, self.dtype)
        # A transposed product costs CUDA nothing, a transposed write much.
        return _compiled()(*packed).t() if self.qweight.is_cuda else dequantise(*packed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = _Product.apply(x, self)
        return output if self.bias is None else output + self.bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: PackedLinear) -> torch.Tensor:
        ctx.layer = layer
        return x @ layer.weight.t()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return grads[0] @ ctx.layer.weight, None


@cache
def _compiled() -> Any:
    # One kernel for each shape and mode of autograd; past its limit of 8 torch would leave them uncompiled.
    torch._dynamo.config.recompile_limit = 128
    return torch.compile(dequantise_rows, dynamic=False)
