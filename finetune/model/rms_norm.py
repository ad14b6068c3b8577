"""Root mean square normalisation as one autograd node: half the passes over memory of transformers' own.

transformers widens to float32, and autograd keeps and walks each of its six steps. Here the statistics are
float32 and the values stay in their dtype (Zhang and Sennrich, arXiv 1910.07467).
"""

from types import MethodType
from typing import Any

import torch


def fuse_norms(model: Any) -> int:
    """Give every RMSNorm of a transformers model the fused form; returns how many there were."""
    fused = 0
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            module.forward = MethodType(_forward, module)
            fused += 1
    return fused


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """`x / sqrt(mean(x^2) + epsilon) * weight` over the last dimension; `weight` is frozen."""
    output: torch.Tensor = _RmsNorm.apply(x, weight, epsilon)
    return output


def _forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return rms_norm(hidden_states, self.weight, self.variance_epsilon)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, epsilon: float) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        normal = (x * scale).to(x.dtype)
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        normal, scale, weight = ctx.saved_tensors
        grad = grads[0] * weight
        share = (grad * normal).mean(-1, keepdim=True, dtype=torch.float32)
        return ((grad - normal * share.to(grad.dtype)) * scale).to(grad.dtype), None, None
