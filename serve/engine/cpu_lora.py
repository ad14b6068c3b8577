"""LoRA operators for vLLM on a CPU: right for mixed batches, and one pair of matrix products per adapter.

vLLM 0.32's own CPU operators index the adapter slots with -1 for rows without an adapter, which in
PyTorch means the last slot: in a mixed batch the base's rows get another adapter's answer
(`vllm/lora/ops/torch_ops/lora_ops.py`; upstream fix #48421 is not in 0.32). They also copy one A and
one B per token. Here the rows of a step are grouped by adapter once; rows without one belong to no
group and are never touched.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_base import PunicaWrapperBase
from vllm.platforms import current_platform

from serve.engine.cpu_awq import has_kernel

Stacked = tuple[torch.Tensor, ...]
"""One tensor a slice of a fused layer (q, k, v): A is (slots, 1, rank, in), B is (slots, 1, out, rank)."""


def install() -> None:
    """Make vLLM use `GroupedLoRA` on a CPU; other platforms keep their own kernels."""
    if current_platform.is_cpu():
        name = f"{__name__}.{GroupedLoRA.__qualname__}"
        type(current_platform).get_punica_wrapper = classmethod(lambda _: name)


class Group(NamedTuple):
    """The rows of one step that belong to the adapter in `slot`: a slice where they are neighbours."""

    slot: int
    rows: slice | torch.Tensor


def group_rows(adapter_of_row: Any, slot_of_adapter: dict[int, int]) -> list[Group]:
    """Group a step's rows by adapter; `adapter_of_row` holds one adapter id a row, 0 for none."""
    adapters = np.asarray(adapter_of_row, dtype=np.int64)
    groups = []
    for adapter in np.unique(adapters[adapters > 0]).tolist():
        rows = np.flatnonzero(adapters == adapter)
        first, last = int(rows[0]), int(rows[-1])
        neighbours = last - first + 1 == len(rows)
        groups.append(
            Group(
                slot_of_adapter[adapter],
                slice(first, last + 1) if neighbours else torch.from_numpy(rows),
            )
        )
    return groups


@dataclass(frozen=True)
class Packed:
    """A layer's adapters without their padding: slot `s` is `down[a:b]` and `up[a:b]`, (a, b) = spans[s].

    `down` is (ranks, in). `up` is (ranks, out), block by block for the slices of a fused layer, so that
    one product serves them all. `source` keeps the packed tensors alive, and `written` is how often each
    had been written when it was packed.
    """

    source: Stacked
    written: tuple[int, ...]
    spans: list[tuple[int, int]]
    down: torch.Tensor
    up: torch.Tensor

    @classmethod
    def of(cls, a_stacked: Stacked, b_stacked: Stacked) -> "Packed":
        width = sum(b.shape[-2] for b in b_stacked)
        spans, downs, ups, total = [], [], [], 0
        for slot in range(a_stacked[0].shape[0]):
            start, column = total, 0
            for a, b in zip(a_stacked, b_stacked, strict=True):
                down, up = a[slot, 0], b[slot, 0]
                # vLLM pads every adapter to the highest rank with zeros, which add nothing.
                used = down.any(dim=1) & up.any(dim=0)
                block = up.new_zeros(int(used.sum()), width)
                block[:, column : column + up.shape[0]] = up[:, used].T
                downs.append(down[used])
                ups.append(block)
                total += block.shape[0]
                column += up.shape[0]
            spans.append((start, total))
        source = a_stacked + b_stacked
        packed = (torch.cat(parts).to(_type(a_stacked[0].dtype)) for parts in (downs, ups))
        return cls(source, _written(source), spans, *packed)

    def current(self, source: Stacked) -> bool:
        """Whether nothing was written into the adapters' tensors since they were packed."""
        return self.written == _written(source)


def _type(given: torch.dtype) -> torch.dtype:
    """Of the products: float32 where a CPU makes these faster, as `cpu_awq` does for the base's."""
    return given if has_kernel() else torch.float32


def _add(y: torch.Tensor, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: float) -> None:
    """y += scale * x @ down.T @ up, in the type of `down` and `up`."""
    if down.dtype == y.dtype:
        y.addmm_(x @ down.T, up, alpha=scale)
    else:
        y.copy_(torch.addmm(y.to(down.dtype), x.to(down.dtype) @ down.T, up, alpha=scale))


def _written(tensors: Stacked) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors)


class GroupedLoRA(PunicaWrapperBase):
    """vLLM's interface to its LoRA kernels, for linear layers on a CPU.

    The server starts vLLM with adapters on the decoder's linear layers alone; anything else is refused
    here, so that no other layer can go wrong in silence.
    """

    def __init__(self, max_num_batched_tokens: int, max_batches: int, device: Any, **_: Any) -> None:
        super().__init__(max_num_batched_tokens, max_batches, device)
        self._groups: list[Group] = []
        self._packed: dict[int, Packed] = {}

    def update_metadata(
        self,
        mapping: LoRAMapping,
        lora_index_to_id: list[int | None],
        max_loras: int,
        vocab_size: int,
        **_: Any,
    ) -> None:
        """Called once a step, before the forward pass."""
        slots = {adapter: slot for slot, adapter in enumerate(lora_index_to_id) if adapter is not None}
        self._groups = group_rows(mapping.index_mapping, slots)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: Stacked,
        lora_b_stacked: Stacked,
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """y[rows of s] += scale * x[rows of s] @ A[s].T @ B[s].T for every slot s.

        x is (rows, in) and y, which is changed in place, (rows, out).
        """
        if not self._groups:
            return
        packed = self._pack(lora_a_stacked, lora_b_stacked)
        for slot, rows in self._groups:
            start, end = packed.spans[slot]
            if start == end:
                continue
            down, up = packed.down[start:end], packed.up[start:end]
            if isinstance(rows, slice):
                _add(y[rows], x[rows], down, up, scale)
            else:
                # Rounded like the branch above: neighbours change an answer by the order of sums only.
                part = y.index_select(0, rows)
                _add(part, x.index_select(0, rows), down, up, scale)
                y.index_copy_(0, rows, part)

    def _pack(self, a_stacked: Stacked, b_stacked: Stacked) -> Packed:
        """The layer's packed adapters, packed again when one of its slots was written."""
        layer = id(a_stacked[0])
        packed = self._packed.get(layer)
        if packed is None or not packed.current(a_stacked + b_stacked):
            packed = self._packed[layer] = Packed.of(a_stacked, b_stacked)
        return packed

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(
            "adapters are served on linear layers without tensor parallelism; "
            "start the engine with lora_target_modules that leave out embeddings and lm_head"
        )

    add_shrink = add_expand = add_lora_embedding = add_lora_logits = apply_lora_full_linear = _refuse
