"""Rows to tensors: laid end to end, `[1, N]`, without padding between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from finetune.training.labels import IGNORED


@dataclass(frozen=True)
class Pass:
    """One forward pass: `inputs` for the model, `labels` `[1, N]` (-100 where nothing is learnt).

    `inputs["rows"]` are the rows' lengths, in all N; `inputs["position_ids"]` starts again at 0 with each.
    """

    inputs: dict[str, Any]
    labels: torch.Tensor

    def to(self, device: torch.device) -> "Pass":
        moved = {name: value.to(device) if name != "rows" else value for name, value in self.inputs.items()}
        return Pass(moved, self.labels.to(device))


def lay(rows: Sequence[tuple[Sequence[int], Sequence[int]]], fill: int) -> Pass:
    """`rows` are pairs (input ids, labels) of equal length.

    A row's first token is never a label: what stands before it belongs to another row. A row
    without labels brings N to a multiple of `fill`.
    """
    rows = list(rows)
    lengths = [len(ids) for ids, _ in rows]
    if short := -sum(lengths) % fill:
        rows.append(([0] * short, [IGNORED] * short))
        lengths.append(short)

    def joined(parts: Iterable[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([list(chain.from_iterable(parts))])

    return Pass(
        {
            "input_ids": joined(ids for ids, _ in rows),
            "position_ids": joined(range(length) for length in lengths),
            "rows": lengths,
        },
        joined([IGNORED, *labels[1:]] for _, labels in rows),
    )
