"""Perplexity over learnt tokens, computed with a model in this process."""

import math
from collections.abc import Iterable
from typing import Any

import torch

from finetune.render import Sample


def perplexity(model: Any, samples: Iterable[Sample]) -> float:
    """exp of the mean negative log likelihood of all learnt tokens of `samples`."""
    total, count = 0.0, 0
    for sample in samples:
        with torch.inference_mode():
            loss, learnt = _loss(model, sample)
        total += loss
        count += learnt
    return math.exp(total / count)


def _loss(model: Any, sample: Sample) -> tuple[float, int]:
    """Summed negative log likelihood of the learnt tokens, and their number."""
    ids = torch.tensor([sample.input_ids], device=model.device)
    learnt = torch.tensor(sample.completion_mask, device=model.device).bool()[1:]
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1][learnt].float()
    loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:][learnt], reduction="sum")
    return loss.item(), int(learnt.sum())
