"""Bytes that a run writes, part by part."""

from finetune.base.catalogue import Shape
from finetune.estimate.devices import Device
from finetune.estimate.memory import MOMENTS, held, weight_bytes
from finetune.estimate.rows import Rows
from finetune.estimate.shapes import adapter_numbers
from finetune.estimate.work import Work
from finetune.recipe import Recipe

_TOKEN = 12  # an id and a label in an Arrow table
_SMALL = 0.1e6  # states of random numbers, seals, reports


def storage(
    shape: Shape,
    recipe: Recipe,
    device: Device,
    rows: Rows,
    work: Work,
    *,
    seconds: float | None,
    here: bool,
    fresh: bool,
) -> dict[str, float]:
    """The most that lies on disk at a time, beside what is there already: the base when it is `here`, and its
    dense weights unless they are `fresh`.

    Of the checkpoints the newest stay, and the best, which may be none of them; another one, or at the end
    the adapter, is written before any goes.
    """
    trained = adapter_numbers(shape, recipe.lora)
    settings = recipe.train.checkpoints
    checkpoint = (4 + MOMENTS[recipe.train.optimizer]) * trained + _SMALL
    adapter = 4 * trained + _SMALL
    by_time = (seconds or 0.0) / (60 * settings.minutes)
    by_steps = work.steps // settings.steps if settings.steps else 0
    written = max(1, min(work.steps, round(by_time) + by_steps + work.evaluations))
    kept = min(written, settings.keep + (1 if rows.heldout else 0))
    made = fresh and device.kind == "cpu" and held(shape, recipe, device) == "dense"
    return {
        "base": 0.0 if here else weight_bytes(shape, "packed", 2),
        "dense weights": weight_bytes(shape, "dense", device.width) if made else 0.0,
        "rows of tokens": _TOKEN * rows.mean * (rows.count + rows.heldout),
        "checkpoints": float(kept * checkpoint),
        "checkpoint or adapter being written": float(checkpoint if written > kept else adapter),
    }
