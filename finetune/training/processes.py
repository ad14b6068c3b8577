"""Several processes that train one adapter: gradients are added up once a step.

DistributedDataParallel hooks into the model's own forward, which the loss on learnt positions goes past, and
reduces in every pass. An adapter's gradients are small: one sum over all of them, after the last pass, is
both simpler and less traffic. In a single process everything here does nothing.
"""

import os
from collections.abc import Sequence
from typing import Any


def count() -> int:
    """How many processes there are; from the launcher's environment, before anything is initialised."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def first() -> bool:
    """Is this the process that writes files and speaks to the person?"""
    return rank() == 0


def begin() -> None:
    """Join the other processes."""
    if count() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())


def wait() -> None:
    """Until every process is here."""
    if count() > 1:
        from torch import distributed

        distributed.barrier()


def add_up(tensors: Sequence[Any]) -> None:
    """Replace each tensor by its sum over all processes, in one exchange, in float32 or wider."""
    if count() == 1:
        return
    import torch
    from torch import distributed

    flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
