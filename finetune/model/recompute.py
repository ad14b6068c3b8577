"""Activations are kept where a GPU has room for them, and computed again where it has not.

Gradient checkpointing of every layer costs half again as many products. With it on, the first step measures
what one layer keeps, and the most memory that was held; from the second step on, as many layers as then fit
keep what their backward pass needs.

What is learned does not depend on it: a layer that is computed again calls the same kernels with the same
input, and torch puts back the random state under which dropout drew. The losses and gradients are equal bit
for bit wherever those kernels are deterministic, as they are on CPUs, and were on an H200; a kernel that adds
in no fixed order differs from itself in the same way with and without recomputation.
"""

from typing import Any, Protocol

import torch
from transformers import TrainerCallback

ROOM = 0.9
"""Of the GPU's memory: what the allocator can use in spite of the holes that it leaves."""


class Memory(Protocol):
    """Bytes of the device that a training step computes on."""

    def held(self) -> int:
        """What tensors take now."""

    def peak(self) -> int:
        """The most that they took since `watch`."""

    def watch(self) -> None:
        """Forget the peak."""

    def whole(self) -> int:
        """What this process may take in all."""


class CudaMemory:
    """The current GPU's, as torch's allocator tells it."""

    def held(self) -> int:
        return torch.cuda.memory_allocated()

    def peak(self) -> int:
        return torch.cuda.max_memory_allocated()

    def watch(self) -> None:
        torch.cuda.reset_peak_memory_stats()

    def whole(self) -> int:
        return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()


class KeepWhatFits(TrainerCallback):
    """For a model whose passes have at most `tokens` tokens; `kept` says how many layers keep theirs now."""

    def __init__(self, model: Any, tokens: int, memory: Memory | None = None) -> None:
        self._layers = list(model.get_base_model().model.layers)
        self._tokens = tokens
        self._memory = memory or CudaMemory()
        self._seen = self._bytes = self._before = 0
        self._hooks: list[Any] = []
        self.kept = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._memory.watch()
        self._before = self._memory.held()
        last = self._layers[-1]
        last.gradient_checkpointing = False
        self._hooks = [last.register_forward_pre_hook(self._enter), last.register_forward_hook(self._leave)]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self._hooks or not self._seen:  # a process may have had no row of this step
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        wider = self._tokens / self._seen
        now, passing = self._memory.held(), self._memory.peak() - self._before
        room = ROOM * self._memory.whole() - now - passing * wider
        self.kept = layers_that_fit(room, self._bytes * wider, len(self._layers))
        for layer in self._layers[-self.kept :]:
            layer.gradient_checkpointing = False

    def _enter(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        self._at = self._memory.held()

    def _leave(self, layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tokens = inputs[0].shape[1]
        if torch.is_grad_enabled() and tokens > self._seen:
            self._seen, self._bytes = tokens, self._memory.held() - self._at


def layers_that_fit(room: float, layer: float, layers: int) -> int:
    """How many of `layers` may keep `layer` bytes each in `room` bytes beside the one that does already."""
    return min(layers, 1 + max(0, int(room // layer)))
