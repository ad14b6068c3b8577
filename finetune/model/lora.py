"""PEFT LoRA on the frozen base, and the proof that gradients reach it."""

import math
from typing import Any

import torch

from data.errors import UserError
from finetune.base.modules import unknown_targets
from finetune.model.lora_linear import fuse_lora


def add_lora(model: Any, lora: Any) -> Any:
    """PEFT LoRA on `lora.targets` of the base; the adapter's weights are float32 and trainable."""
    from peft import LoraConfig, get_peft_model

    head = model.get_output_embeddings()
    linear = (
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
    if problem := unknown_targets(lora.targets, linear):
        raise UserError(problem)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        use_rslora=lora.rslora,
        init_lora_weights=True if lora.init == "kaiming" else lora.init,
        bias="none",
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(model, config)
    for name, p in peft_model.named_parameters():
        if p.requires_grad:
            p.data = p.data.float()
            assert "lora_" in name, name
    fuse_lora(peft_model)
    return peft_model


def check_gradients(model: Any, input_ids: list[int]) -> None:
    """Prove that a loss reaches every adapter matrix through the frozen base; UserError if not.

    Some AWQ kernels compute a right forward and silently pass no gradient. B is zero at the start, which
    hides A's gradient, so B is set to small values for the check and put back. An attention that a large
    `lora.alpha` leaves no doubt passes none either, so with one B is made as small as that is large.
    """
    from peft.tuners.lora import LoraLayer

    layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    scale = max(abs(value) for layer in layers for value in layer.scaling.values())
    sums = _gradients(model, input_ids, 1e-3)
    if not all(math.isfinite(total) for total in sums.values()):
        raise UserError(
            "the adapter's gradients are not finite before the first step; nothing was exported. Lower"
            " lora.alpha, which scales them."
        )
    if not all(sums.values()) and scale > 1:
        sums = _gradients(model, input_ids, 1e-3 / scale)
    if dead := [name for name, total in sums.items() if not total]:
        raise UserError(
            f"the base's kernel passes no gradient to {len(dead)} adapter matrices, first {dead[0]};"
            " nothing was exported. Set base.weights to the other of dense and packed in the recipe."
        )


def _gradients(model: Any, input_ids: list[int], size: float) -> dict[str, float]:
    """The sum of each adapter matrix's gradients where B's values are of this `size`; nothing is changed."""
    row = torch.tensor([input_ids], device=model.device)
    lora_b = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    saved = {name: p.detach().clone() for name, p in lora_b.items()}
    generator = torch.Generator().manual_seed(0)
    training = model.training
    try:
        with torch.no_grad():
            for p in lora_b.values():
                p.copy_(torch.randn(p.shape, generator=generator) * size)
        model.train()
        model(input_ids=row, labels=row, use_cache=False).loss.backward()
        return {
            name: 0.0 if p.grad is None else float(p.grad.abs().sum())
            for name, p in model.named_parameters()
            if p.requires_grad
        }
    finally:
        with torch.no_grad():
            for name, p in lora_b.items():
                p.copy_(saved[name])
        model.zero_grad(set_to_none=True)
        model.train(training)
