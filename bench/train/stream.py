"""The token streams that every trainer of the bench learns from."""

from itertools import chain
from pathlib import Path
from typing import Any

from data.formats import read
from data.home import base_folder
from finetune.dataset import Row
from finetune.recipe import Recipe
from finetune.render import open_renderer
from finetune.training.plan import Plan
from finetune.training.rows import columns

BASE = "smollm2-135m-instruct-awq"
BATCH, STEPS, WARM = 4, 3, 1
"""Rows a step (TRL's default), steps a run, and how many of them are not timed."""

STREAMS = ("samples", "rows of 512")


def recipe(output: Path) -> Recipe:
    """What all of them are told: rank, targets, optimiser, learning rate, schedule."""
    return Recipe.model_validate(
        {
            "name": "bench",
            "base": BASE,
            "data": {"train": ["data/samples/train.jsonl"]},
            "train": {
                "steps": STEPS,
                "batch": BATCH,
                "learning_rate": 3e-4,
                "schedule": "linear",
                "warmup": 0,
            },
            "track": {"wandb": "off", "tensorboard": "off"},
            "output": str(output),
        }
    )


def rows(stream: str) -> list[dict[str, Any]]:
    """`BATCH * STEPS` rows with `input_ids` and `labels`, in the order of training.

    `samples`: conversations of data/samples, of mixed lengths, their answers learnt; the step with most
    tokens comes first, so that no timed one is given fresh memory. `rows of 512`: their tokens end to end,
    cut into full rows, every token learnt.
    """
    renderer = open_renderer(base_folder(BASE))
    found = [sample for chat in read(Path("data/samples/train.jsonl")) for sample in renderer.samples(chat)]
    if stream == "samples":
        plan = Plan(len(found), BATCH, STEPS, seed=0)
        steps = [[found[place] for place in plan[step]] for step in range(STEPS)]
        first = max(steps, key=lambda step: sum(len(one.input_ids) for one in step))
        chosen = first + [one for step in steps if step is not first for one in step]
        return [columns(Row(one.input_ids, one.completion_mask, "")) for one in chosen]
    tokens = list(chain.from_iterable(one.input_ids for one in found))
    full = [tokens[at * 512 : (at + 1) * 512] for at in range(BATCH * STEPS)]
    return [columns(Row(ids, [1] * 512, "")) for ids in full]
