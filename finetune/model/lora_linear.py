"""The LoRA product of a frozen layer as one autograd node: no elementwise pass over its output.

PEFT computes `x W' + s (x A') B'` with seven operations that each read or write a whole `[T, out]`, and
autograd adds their backward passes. Here the update is accumulated inside the matrix products. W is asked of
its layer in the forward pass and again in the backward pass, so a packed layer's dense form is never kept.
"""

from types import MethodType
from typing import Any

import torch


def fuse_lora(model: Any) -> int:
    """Give every LoRA layer over a linear one of a PEFT model the fused product; returns how many there were.

    Layers with DoRA keep PEFT's own forward.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for module in model.modules():
        if isinstance(module, Linear) and isinstance(module.get_base_layer(), torch.nn.Linear):
            (adapter,) = module.active_adapters
            if not module.use_dora.get(adapter, False):
                module.forward = MethodType(_forward, module)
                fused += 1
    return fused


def lora_linear(x: Any, layer: torch.nn.Linear, a: Any, b: Any, scale: float) -> torch.Tensor:
    """`x W' + scale (x A') B'` for x `[..., in]`, layer's W `[out, in]`, A `[r, in]`, B `[out, r]`.

    It computes in x's dtype; A and B may be wider (their float32 copies are what the optimiser moves).
    """
    output: torch.Tensor = _LoraLinear.apply(x, layer, a, b, scale)
    return output if layer.bias is None else output + layer.bias


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or self.disable_adapters or self.merged:
        return type(self).forward(self, x, *args, **kwargs)
    (adapter,) = self.active_adapters
    a, b = self.lora_A[adapter].weight, self.lora_B[adapter].weight
    dropout, scale = self.lora_dropout[adapter], self.scaling[adapter]
    if self.training and not isinstance(dropout, torch.nn.Identity):
        inner = torch.nn.functional.linear(dropout(x), a.to(x.dtype))
        return self.get_base_layer()(x) + scale * torch.nn.functional.linear(inner, b.to(x.dtype))
    return lora_linear(x, self.get_base_layer(), a, b, scale)


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, layer: torch.nn.Linear, a: Any, b: Any, scale: float) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inner = flat @ a.to(x.dtype).t()
        output = (flat @ layer.weight.t()).addmm_(inner, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(flat, inner, a, b)
        ctx.layer, ctx.scale, ctx.shape = layer, scale, x.shape
        return output.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        flat, inner, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        d_inner = (grad @ b.to(grad.dtype)).mul_(ctx.scale)
        d_a = (d_inner.t() @ flat).to(a.dtype)
        d_b = (grad.t() @ inner).to(b.dtype).mul_(ctx.scale)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = (grad @ ctx.layer.weight).addmm_(d_inner, a.to(grad.dtype)).view(ctx.shape)
        return d_x, None, d_a, d_b, None
