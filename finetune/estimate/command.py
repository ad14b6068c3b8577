"""`finetune estimate` from the recipe to the table."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from data.errors import UserError
from data.home import home
from data.manifest import read_base
from finetune import recipe as recipes
from finetune.base import catalogue
from finetune.base.catalogue import Shape
from finetune.base.resolve import find
from finetune.estimate import table
from finetune.estimate.devices import DTYPES, Device, device
from finetune.estimate.memory import Memory, held, memory
from finetune.estimate.rows import Rows, counted, given
from finetune.estimate.shapes import adapter_numbers, shape_of
from finetune.estimate.speed import Time, time_of
from finetune.estimate.storage import storage
from finetune.estimate.work import Work, work
from finetune.quiet import quiet
from finetune.recipe import Recipe
from finetune.training.plan import FILL, MICRO_TOKENS


@dataclass(frozen=True)
class Estimate:
    """Bytes and seconds. `time` is None where the run does not fit: nothing of it can be measured then."""

    recipe: Recipe
    device: Device
    shape: Shape
    shape_from: str
    rows: Rows
    work: Work
    weights: str
    trained: int
    memory: Memory
    time: Time | None
    disk: dict[str, float]

    @property
    def fits(self) -> bool:
        return self.memory.total <= self.device.memory

    def as_json(self) -> dict[str, Any]:
        width, learnt = self.work.widest
        return {
            "recipe": self.recipe.name,
            "device": self.device.name,
            "base": self.recipe.base.name,
            "shape": {**self.shape.model_dump(), "from": self.shape_from},
            "data": {
                "examples": self.rows.count,
                "heldout": self.rows.heldout,
                "steps": self.work.steps,
                "tokens_per_step": round(self.work.tokens, 1),
                "widest_pass": {"tokens": width, "learnt": learnt},
                "from": self.rows.origin,
            },
            "weights": self.weights,
            "trained_numbers": self.trained,
            "memory_bytes": {key: round(part) for key, part in self.memory.parts.items()},
            "memory_total_bytes": round(self.memory.total),
            "device_memory_bytes": round(self.device.memory),
            "fits": self.fits,
            "time": asdict(self.time) if self.time else None,
            "disk_bytes": {key: round(part) for key, part in self.disk.items()},
            "disk_total_bytes": round(sum(self.disk.values())),
        }


def estimate(
    recipe: Path, on: str, config: Path | None, rows: int | None, tokens: int | None, out: Path | None
) -> None:
    """Estimate a recipe on the device named `on`, print it, and write it to `out`."""
    with quiet(home() / "logs" / "estimate.log"):
        made = estimated(recipes.load(recipe), on, config, rows, tokens)
    table.show(made, Console(highlight=False, soft_wrap=True))
    if out is not None:
        try:
            out.write_text(json.dumps(made.as_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{out} cannot be written ({error.strerror}); give another path.") from None


def estimated(
    recipe: Recipe, on: str, config: Path | None = None, count: int | None = None, tokens: int | None = None
) -> Estimate:
    """The estimate. `count` rows of `tokens` tokens stand for the data when given, both together."""
    if (count is None) != (tokens is None):
        raise UserError("--rows and --tokens belong together; give both, or neither to count the data.")
    if count is not None and tokens is not None and min(count, tokens) < 1:
        raise UserError(f"--rows {count} --tokens {tokens}: there is nothing to train on; give 1 or more.")
    shape, origin = shape_of(recipe.base.name, config)
    trained = adapter_numbers(shape, recipe.lora)
    place = device(on)
    rows = given(recipe, count, tokens) if count and tokens else _counted(recipe, config)
    micro = recipe.train.micro_tokens or MICRO_TOKENS[place.kind]
    planned = work(rows, recipe.train, micro, FILL[place.kind], exact=place.sheet is None)
    folder = None if config else _folder(recipe)
    fresh = _fresh(folder, place)
    need = memory(shape, recipe, place, planned.widest, planned.lengths, fresh, planned.pairs)
    fits = need.total <= place.memory
    took = time_of(shape, recipe, place, planned) if fits or place.sheet else None
    disk = storage(
        shape,
        recipe,
        place,
        rows,
        planned,
        seconds=took.seconds if took else None,
        here=folder is not None,
        fresh=fresh,
    )
    weights = f"{held(shape, recipe, place)} {DTYPES[place.width]}"
    return Estimate(recipe, place, shape, origin, rows, planned, weights, trained, need, took, disk)


def _counted(recipe: Recipe, config: Path | None) -> Rows:
    """The recipe's data by the base's own renderer where it is here."""
    from finetune.render import open_renderer

    folder = None if config else _folder(recipe)
    entry = catalogue.load().get(recipe.base.name)
    whole = entry is None or entry.renderer == "template"
    return counted(recipe, open_renderer(folder) if folder else None, whole)


def _folder(recipe: Recipe) -> Path | None:
    try:
        return find(recipe.base.name)
    except UserError:
        return None


def _fresh(folder: Path | None, place: Device) -> bool:
    """Whether dense weights would be made anew (`finetune.model.dense` keeps them on CPU)."""
    if folder is None or place.kind != "cpu":
        return True
    name = read_base(folder).fingerprint.removeprefix("sha256:")[:32]
    return not (home() / "cache" / "dense" / f"{name}-{DTYPES[place.width]}.safetensors").is_file()
