"""Activations are kept where a GPU has room for them, and computed again where it has not.

Gradient checkpointing of every layer costs half again as many products. With it on, the first step measures
what one layer keeps, and the most memory that was held; from the second step on, as many layers as then fit
keep what their backward pass needs. What is learnt is the same: what is computed again is what was kept.
"""

from typing import Any

import torch
from transformers import TrainerCallback

ROOM = 0.9
"""Of the GPU's memory: what the allocator can use in spite of the holes that it leaves."""


class KeepWhatFits(TrainerCallback):
    """For a model whose passes have at most `tokens` tokens; `kept` says how many layers keep theirs now."""

    def __init__(self, model: Any, tokens: int) -> None:
        self._layers = list(model.get_base_model().model.layers)
        self._tokens = tokens
        self._seen = self._bytes = self._before = 0
        self._hooks: list[Any] = []
        self.kept = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()
        last = self._layers[-1]
        last.gradient_checkpointing = False
        self._hooks = [last.register_forward_pre_hook(self._enter), last.register_forward_hook(self._leave)]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self._hooks:
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        now, peak = torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
        whole = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
        wider = self._tokens / self._seen
        room = ROOM * whole - now - (peak - self._before) * wider
        self.kept = layers_that_fit(room, self._bytes * wider, len(self._layers))
        for layer in self._layers[-self.kept :]:
            layer.gradient_checkpointing = False

    def _enter(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        self._at = torch.cuda.memory_allocated()

    def _leave(self, layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tokens = inputs[0].shape[1]
        if torch.is_grad_enabled() and tokens > self._seen:
            self._seen, self._bytes = tokens, torch.cuda.memory_allocated() - self._at


def layers_that_fit(room: float, layer: float, layers: int) -> int:
    """How many of `layers` may keep `layer` bytes each in `room` bytes beside the one that does already."""
    return min(layers, 1 + max(0, int(room // layer)))
