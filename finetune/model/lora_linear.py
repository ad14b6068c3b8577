"""The LoRA products of frozen layers as one autograd node: no elementwise pass over an output.

PEFT computes `x W' + s (x A') B'` with seven operations that each read or write a whole `[T, out]`, and
autograd adds their backward passes. Here the update is accumulated inside the matrix products, and layers
that are given the same x (q, k, v; gate, up) are computed together: x is read once, and its gradient is
summed inside the products. W is asked of its layer in the forward pass and again in the backward pass, so a
packed layer's dense form is never kept.
"""

from types import MethodType
from typing import Any

import torch

_SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names under one parent that transformers calls with the same input, in this order."""


def fuse_lora(model: Any) -> int:
    """Give every LoRA layer over a linear one of a PEFT model the fused product; returns how many there were.

    Layers with DoRA keep PEFT's own forward.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for parent in model.modules():
        children = {name: child for name, child in parent.named_children() if isinstance(child, Linear)}
        children = {name: child for name, child in children.items() if _plain(child)}
        for names in _SIBLINGS:
            if all(name in children for name in names):
                group = _Group([children[name] for name in names])
                for name in names:
                    children[name].siblings = group
        for child in children.values():
            child.forward = MethodType(_forward, child)
            fused += 1
    return fused


def lora_linear(x: Any, layers: list[Any]) -> list[torch.Tensor]:
    """`x W' + scale (x A') B'` of each PEFT layer: x `[..., in]`, W `[out, in]`, A `[r, in]`, B `[out, r]`.

    It computes in x's dtype; A and B may be wider (their float32 copies are what the optimiser moves).
    """
    matrices = [matrix for layer in layers for matrix in _matrices(layer)]
    outputs = _LoraLinear.apply(x, layers, *matrices)
    biases = [layer.get_base_layer().bias for layer in layers]
    return [output if bias is None else output + bias for output, bias in zip(outputs, biases, strict=True)]


class _Group:
    """Layers that share their input: the first call computes all, the others take what is theirs."""

    def __init__(self, layers: list[Any]) -> None:
        self._layers = layers
        self._input: Any = None
        self._waiting: dict[int, torch.Tensor] = {}

    def output(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        if x is not self._input or id(layer) not in self._waiting:
            self._input = x
            made = lora_linear(x, self._layers)
            self._waiting = {id(one): output for one, output in zip(self._layers, made, strict=True)}
        taken = self._waiting.pop(id(layer))
        if not self._waiting:
            self._input = None
        return taken


def _plain(layer: Any) -> bool:
    (adapter,) = layer.active_adapters
    linear = isinstance(layer.get_base_layer(), torch.nn.Linear)
    return linear and not layer.use_dora.get(adapter, False)


def _matrices(layer: Any) -> tuple[Any, Any]:
    (adapter,) = layer.active_adapters
    return layer.lora_A[adapter].weight, layer.lora_B[adapter].weight


def _scale(layer: Any) -> float:
    (adapter,) = layer.active_adapters
    return float(layer.scaling[adapter])


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or self.disable_adapters or self.merged:
        return type(self).forward(self, x, *args, **kwargs)
    (adapter,) = self.active_adapters
    dropout = self.lora_dropout[adapter]
    if self.training and not isinstance(dropout, torch.nn.Identity):
        a, b = (matrix.to(x.dtype) for matrix in _matrices(self))
        inner = torch.nn.functional.linear(dropout(x), a)
        return self.get_base_layer()(x) + _scale(self) * torch.nn.functional.linear(inner, b)
    group = getattr(self, "siblings", None)
    return lora_linear(x, [self])[0] if group is None else group.output(self, x)


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, layers: list[Any], *matrices: Any) -> tuple[torch.Tensor, ...]:
        flat = x.reshape(-1, x.shape[-1])
        downs, ups = matrices[0::2], matrices[1::2]
        ranks = [a.shape[0] for a in downs]
        inner = flat @ torch.cat(downs).to(x.dtype).t()
        outputs = []
        for layer, own, b in zip(layers, inner.split(ranks, 1), ups, strict=True):
            output = flat @ layer.get_base_layer().weight.t()
            output.addmm_(own, b.to(x.dtype).t(), alpha=_scale(layer))
            outputs.append(output.view(*x.shape[:-1], -1))
        ctx.save_for_backward(flat, inner, *matrices)
        ctx.layers, ctx.ranks, ctx.shape = layers, ranks, x.shape
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        flat, inner, *matrices = ctx.saved_tensors
        downs, ups = matrices[0::2], matrices[1::2]
        d_inner = torch.empty_like(inner)
        parts = zip(
            ctx.layers, grads, inner.split(ctx.ranks, 1), d_inner.split(ctx.ranks, 1), ups, strict=True
        )
        d_x, d_ups = None, []
        for layer, whole, own, d_own, b in parts:
            grad, scale = whole.reshape(-1, whole.shape[-1]), _scale(layer)
            torch.mul(grad @ b.to(grad.dtype), scale, out=d_own)
            d_ups.append((own.t() @ grad).t().to(b.dtype).mul_(scale))
            if ctx.needs_input_grad[0]:
                weight = layer.get_base_layer().weight
                d_x = grad @ weight if d_x is None else d_x.addmm_(grad, weight)
        d_downs = (d_inner.t() @ flat).to(downs[0].dtype).split(ctx.ranks)
        if d_x is not None:
            d_x = d_x.addmm_(d_inner, torch.cat(downs).to(flat.dtype)).view(ctx.shape)
        return d_x, None, *(d for pair in zip(d_downs, d_ups, strict=True) for d in pair)
