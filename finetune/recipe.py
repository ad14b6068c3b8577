"""The recipe: everything that a training run is told, in one strict YAML file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from data.sources import Source
from finetune.render import Learn
from finetune.strict import Strict, load_yaml


class Base(Strict):
    """`weights` says how the frozen base is held: int4 (`packed`) or dequantised once (`dense`)."""

    name: str
    weights: Literal["auto", "packed", "dense"] = "auto"


def _from_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class Limits(Strict):
    """What `finetune validate` lets pass. All are shares; a share above its limit is an error."""

    similarity: float = Field(default=0.8, gt=0, le=1)
    """From this share of common word groups on, two conversations are near duplicates."""
    dropped: float = Field(default=0.1, ge=0, le=1)
    """Of the rows of training data: those that are left out, for their length or as unreadable."""
    duplicates: float = Field(default=0.5, ge=0, le=1)
    """Of the training conversations: those that repeat an earlier one, exactly or nearly."""
    overlap: float = Field(default=0.05, ge=0, le=1)
    """Of the held-out conversations: those that are trained on, exactly or nearly."""


class Data(Strict):
    """Sources of conversations (`data.sources` says how they are mixed, `data.splits` how held out).

    `max_length` is in tokens, and what is longer is left out and counted. `learn` selects the assistant
    messages to learn: all, the last one only, or those that call tools.
    """

    train: list[Annotated[Source, BeforeValidator(_from_path)]] = Field(min_length=1)
    mix_seed: int = Field(default=0, ge=0)
    heldout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the conversation groups that is kept out of training."""
    split_seed: int = Field(default=0, ge=0)
    max_length: int = Field(default=2048, ge=16)
    learn: Learn = "all"
    heldout_files: list[Path] = []
    """Never trained on, such as an evaluation's; validation looks for what `train` shares with them."""
    limits: Limits = Limits()


class Lora(Strict):
    r: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    targets: list[str] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], min_length=1
    )


class Training(Strict):
    """`batch` conversations a step, `micro_batch` of them at a time; exactly one of `epochs` and `steps`."""

    epochs: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    batch: int = Field(default=8, ge=1)
    micro_batch: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    lora_plus: float = Field(default=1.0, ge=1)
    """How many times `learning_rate` the matrices B learn at (LoRA+, arXiv 2402.12354)."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)

    def model_post_init(self, _: Any) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of `epochs` and `steps`")
        if self.batch % (self.micro_batch or self.batch):
            raise ValueError(f"`batch` {self.batch} must be a multiple of `micro_batch` {self.micro_batch}")


class Track(Strict):
    """`wandb: auto` records offline unless a key is there; `off` does not import it."""

    wandb: Literal["auto", "off"] = "auto"
    project: str = "enxerto"


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Recipe(Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    base: Annotated[Base, BeforeValidator(_named)]
    data: Data
    lora: Lora = Lora()
    train: Training
    track: Track = Track()
    output: Path | None = None
    """Where the adapter goes; `runs/<name>` by default."""

    @field_validator("output")
    @classmethod
    def _not_the_working_folder(cls, value: Path | None) -> Path | None:
        if value is not None and value.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise ValueError("must be a folder of its own, such as runs/my-adapter")
        return value

    @property
    def folder(self) -> Path:
        return self.output or Path("runs") / self.name


def load(path: Path) -> Recipe:
    """Read and check a recipe; UserError with every mistake."""
    return load_yaml(path, Recipe)
