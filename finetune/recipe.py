"""The recipe: everything that a training run is told, in one strict YAML file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from data.sources import Source
from data.strict import Strict, load_yaml
from finetune.render import Learn


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

    `max_length` is in tokens; what is longer is left out, or cut at its end, and counted. `learn` selects the
    assistant messages to learn: all, the last one only, or those that call tools.
    """

    train: list[Annotated[Source, BeforeValidator(_from_path)]] = Field(min_length=1)
    mix_seed: int = Field(default=0, ge=0)
    heldout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the conversation groups that is kept out of training."""
    split_seed: int = Field(default=0, ge=0)
    max_length: int = Field(default=2048, ge=16)
    too_long: Literal["drop", "truncate"] = "drop"
    learn: Learn = "all"
    heldout_files: list[Path] = []
    """Never trained on, such as an evaluation's; validation looks for what `train` shares with them."""
    limits: Limits = Limits()


class Lora(Strict):
    r: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    """Scale the update by alpha / sqrt(r) rather than alpha / r (arXiv 2312.03732)."""
    init: Literal["kaiming", "gaussian", "orthogonal"] = "kaiming"
    """Of the matrices A (`orthogonal`: of A and B); inits that change the frozen base are not on offer."""
    targets: list[str] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], min_length=1
    )
    dora: bool = False

    @field_validator("dora")
    @classmethod
    def _no_dora(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "DoRA needs the dense base's column norms, which AWQ layers do not have, and vLLM serves no"
                " DoRA adapter; remove it, or try `rslora: true`"
            )
        return value


class Evaluation(Strict):
    """Held-out loss while training, where `data.heldout` keeps conversations aside.

    Every `steps` steps (a tenth of the run when not given), and after the last one. The adapter of the
    lowest loss is the one that is exported. With `patience`, so many evaluations without a lower loss end
    the run.
    """

    steps: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)


class Checkpoints(Strict):
    """Every `minutes`, and every `steps` where given; the newest `keep` stay, and the best one."""

    minutes: float = Field(default=10, gt=0)
    steps: int | None = Field(default=None, ge=1)
    keep: int = Field(default=2, ge=1)


class Preference(Strict):
    """`method: dpo`: how far the adapter may move from the base (arXiv 2305.18290)."""

    beta: float = Field(default=0.1, gt=0)


class Training(Strict):
    """`batch` rows a step (pairs for `dpo`), over all processes; exactly one of `epochs` and `steps`.

    A step's rows are laid end to end and computed in passes of at most `micro_tokens` tokens: that changes
    memory and speed, and not what is learnt.
    """

    epochs: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    batch: int = Field(default=8, ge=1)
    micro_tokens: int | None = Field(default=None, ge=16)
    """2048 on CPU and 4096 on CUDA when not given; a longer row is a pass of its own."""
    learning_rate: float = Field(default=2e-4, gt=0)
    lora_plus: float = Field(default=1.0, ge=1)
    """How many times `learning_rate` the matrices B learn at (LoRA+, arXiv 2402.12354)."""
    optimizer: Literal["adamw", "adafactor", "sgd"] = "adamw"
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool | None = None
    """Compute activations again in the backward pass; on CUDA only, when not given."""
    seed: int = Field(default=0, ge=0)
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()

    def model_post_init(self, _: Any) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of `epochs` and `steps`")

    def steps_for(self, rows: int) -> int:
        """The length of a run over `rows` rows."""
        return self.steps or max(1, round((self.epochs or 1) * rows / self.batch))


class Track(Strict):
    """`wandb: auto` records offline unless a key is there; `off` does not import it."""

    wandb: Literal["auto", "off"] = "auto"
    tensorboard: Literal["on", "off"] = "on"
    project: str = "enxerto"
    generations: int = Field(default=3, ge=0, le=32)
    """Held-out prompts (training ones without a held-out side) answered before and after, for the report."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Recipe(Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    base: Annotated[Base, BeforeValidator(_named)]
    method: Literal["sft", "dpo"] = "sft"
    data: Data
    lora: Lora = Lora()
    train: Training
    dpo: Preference = Preference()
    track: Track = Track()
    output: Path | None = None
    """Where the adapter goes; `runs/<name>` by default."""

    @field_validator("output")
    @classmethod
    def _not_the_working_folder(cls, value: Path | None) -> Path | None:
        if value is not None and value.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise ValueError("must be a folder of its own, such as runs/my-adapter")
        return value

    def model_post_init(self, _: Any) -> None:
        if self.method == "dpo" and self.data.learn != "all":
            raise ValueError("`data.learn` is for `method: sft`; `dpo` learns the preferred answer")
        if self.method == "dpo" and self.data.too_long == "truncate":
            raise ValueError("`data.too_long: truncate` is for `method: sft`; a cut pair prefers nothing")

    @property
    def folder(self) -> Path:
        return self.output or Path("runs") / self.name


def load(path: Path) -> Recipe:
    """Read and check a recipe; UserError with every mistake."""
    return load_yaml(path, Recipe)
