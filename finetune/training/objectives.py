"""What a run minimises: the loss of the learnt tokens, or of preferences between two answers."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from finetune.recipe import Recipe
from finetune.training.collate import Pass
from finetune.training.labels import IGNORED
from finetune.training.loss import token_losses

Row = tuple[list[int], list[int]]
"""(input ids, labels)"""


class Objective(Protocol):
    """`rows` of an example are laid into one pass; losses are sums, divided by the step's `weight`."""

    @property
    def extra(self) -> tuple[str, ...]:
        """The names of the further sums that `loss` gives."""
        ...

    def rows(self, example: dict[str, Any]) -> list[Row]: ...

    def weight(self, rows: Sequence[Row]) -> float:
        """What the sum over `rows` is divided by, over all processes of a step."""
        ...

    def loss(self, model: Any, batch: Pass) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The sum of the losses of `batch`, and further sums to report, each divided like the loss."""
        ...


def objective(recipe: Recipe) -> Objective:
    return Preferred(recipe.dpo.beta) if recipe.method == "dpo" else Supervised()


class Supervised:
    """Cross entropy of the learnt tokens: each token of a step counts the same."""

    extra: tuple[str, ...] = ()

    def rows(self, example: dict[str, Any]) -> list[Row]:
        return [(example["input_ids"], example["labels"])]

    def weight(self, rows: Sequence[Row]) -> float:
        return float(sum(learnt(labels) for _, labels in rows))

    def loss(self, model: Any, batch: Pass) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return token_losses(model, batch).sum(), {}


class Preferred:
    """Direct preference optimisation, sigmoid loss (arXiv 2305.18290): each pair of a step counts the same.

    The reference is the base itself, which is the model with its adapter switched off. An example's rows are
    the chosen answer and the rejected one, each behind the prompt.
    """

    extra: tuple[str, ...] = ("reward_accuracy", "reward_margin")

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def rows(self, example: dict[str, Any]) -> list[Row]:
        return [
            (example["input_ids"], example["labels"]),
            (example["rejected_ids"], example["rejected_labels"]),
        ]

    def weight(self, rows: Sequence[Row]) -> float:
        return len(rows) / 2

    def loss(self, model: Any, batch: Pass) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        with torch.no_grad(), model.disable_adapter():
            reference = _of_rows(token_losses(model, batch), batch)
        # Losses are negative log probabilities: what the adapter lowered, it made more likely.
        gained = reference - _of_rows(token_losses(model, batch), batch)
        chosen, rejected = (self.beta * gained).view(-1, 2).unbind(1)
        margin = chosen - rejected
        sums = {"reward_accuracy": (margin > 0).float().sum(), "reward_margin": margin.detach().sum()}
        return -torch.nn.functional.logsigmoid(margin).sum(), sums


def learnt(labels: Sequence[int]) -> int:
    """How many tokens of a row are learnt; the first cannot be."""
    return sum(label != IGNORED for label in labels[1:])


def _of_rows(losses: torch.Tensor, batch: Pass) -> torch.Tensor:
    """Sum of the token losses of each row that learns something, in order."""
    counts = [int((part != IGNORED).sum()) for part in batch.labels[0].split(batch.inputs["rows"])]
    return torch.stack([part.sum() for part in losses.split([count for count in counts if count])])
