"""Cross entropy of the learnt tokens only, a few thousand logits at a time.

At 32k tokens and 131 072 words the logits of all positions would be 17 GB in float32. Only learnt positions
go through the output layer, in chunks whose logits are at most `LOGITS` numbers. The output layer is
frozen, so the gradient of the hidden states is all that the backward pass needs, and it is computed while
the logits are at hand: they are never stored and never computed twice (the idea of Liger's
FusedLinearCrossEntropy, arXiv 2410.10989).
"""

from typing import Any

import torch

from finetune.training.collate import Pass
from finetune.training.labels import IGNORED
from finetune.training.plan import LOGITS


def token_losses(model: Any, batch: Pass) -> torch.Tensor:
    """Cross entropy of each learnt token in order, `[learnt]`, in float32. `model` is a PEFT model."""
    causal = model.get_base_model()
    hidden = causal.model(**batch.inputs, use_cache=False).last_hidden_state[:, :-1]
    labels = batch.labels[:, 1:]
    learnt = labels != IGNORED
    return linear_cross_entropy(hidden[learnt], causal.lm_head.weight, labels[learnt])


def linear_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`[n]` float32 losses of `labels` `[n]` under the logits hidden `[n, d]` times weight `[vocabulary, d]`.

    `weight` gets no gradient.
    """
    losses: torch.Tensor = _LinearCrossEntropy.apply(hidden, weight, labels)
    return losses


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, labels: Any) -> torch.Tensor:
        losses = torch.empty(len(labels), dtype=torch.float32, device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        size = max(1, LOGITS // len(weight))
        for start in range(0, len(labels), size):
            chunk = slice(start, start + size)
            logits = (hidden[chunk] @ weight.t()).float()
            probabilities = torch.softmax(logits, -1)
            own = labels[chunk, None]
            # The largest probability is 1 over the sum of exp(logit - largest): no pass of exp of its own.
            normaliser = logits.amax(-1) - probabilities.amax(-1).log_()
            losses[chunk] = normaliser - logits.gather(1, own).squeeze(1)
            if slope is not None:
                probabilities.scatter_add_(1, own, probabilities.new_full(own.shape, -1.0))
                torch.mm(probabilities.to(weight.dtype), weight, out=slope[chunk])
        if slope is not None:
            ctx.save_for_backward(slope)
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (slope,) = ctx.saved_tensors
        # In float32: a rounded factor would scale the whole gradient.
        return (slope * grads[0].unsqueeze(1)).to(slope.dtype), None, None
