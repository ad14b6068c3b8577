"""The recipe: everything that a training run is told, in one strict YAML file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from data.paths import Made
from data.sources import Source
from data.strict import Strict, load_yaml
from finetune.other_trainers import ELSEWHERE
from finetune.render import Learn


class Base(Strict):
    """The frozen base. Its name alone, as text, is enough."""

    name: str
    """A name of the catalogue, a folder with an AWQ model, or `owner/repo@revision`."""
    weights: Literal["auto", "packed", "dense"] = "auto"
    """How the base is held while training: in int4 (`packed`), dequantized once (`dense`), or what fits."""


class Limits(Strict):
    """What `finetune validate` lets pass. All are shares; a share above its limit is an error."""

    similarity: float = Field(default=0.8, gt=0, le=1)
    """From this share of common word groups on, two conversations are near duplicates."""
    dropped: float = Field(default=0.1, ge=0, le=1)
    """Of what could be learned: what is left out, for its length or as unreadable. `finetune train` keeps to
    it too."""
    duplicates: float = Field(default=0.5, ge=0, le=1)
    """Of the training conversations: those that repeat an earlier one, exactly or nearly."""
    overlap: float = Field(default=0.05, ge=0, le=1)
    """Of the held-out conversations: those that are trained on, exactly or nearly."""


def _from_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


_Few = BeforeValidator(_one_or_more)
"""One item may stand without a list around it."""

Sources = Annotated[list[Annotated[Source, BeforeValidator(_from_path)]], _Few]
"""Paths, or mappings with more than a path."""


class Data(Strict):
    """What is learned. Every path is looked for in the working folder, then beside the recipe."""

    train: Sources = Field(min_length=1)
    """A path, or a list of paths and of sources with the keys below."""
    mix_seed: int = Field(default=0, ge=0)
    """Of the order in which several sources are mixed, and of what a fractional weight takes."""
    heldout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the conversation groups that is kept out of training."""
    split_seed: int = Field(default=0, ge=0)
    """Another number holds out other groups."""
    max_length: int = Field(default=2048, ge=16)
    """Tokens of a row at most; what is longer is left out or cut, and counted."""
    too_long: Literal["drop", "truncate"] = "drop"
    """Whether a longer row is left out, or cut behind the last answer that fits whole (`method: sft`)."""
    learn: Learn = "all"
    """Which answers are learned (`method: sft`): all, the last one only, or those that call tools."""
    ignore: Annotated[list[str], _Few] = []
    """Keys of records to pass over, such as "notes" or "messages[].mood"; other unknown ones are refused."""
    on_error: Literal["stop", "skip"] = "stop"
    """At a record that cannot be learned: stop, or leave it out, count it, and list it in `skipped.jsonl`."""
    heldout_files: Annotated[list[Path], _Few] = []
    """Never trained on, such as an evaluation's; validation looks for what `train` shares with them."""
    limits: Limits = Limits()


class Lora(Strict):
    """The adapter: matrices A and B beside each target layer, whose product is added to its weights."""

    r: int = Field(default=16, ge=1, le=512)
    """The rank of the matrices; a server holds ranks up to 32 unless it is told otherwise."""
    alpha: float = Field(default=32, gt=0)
    """The update is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of a layer's inputs that are left out at random while training."""
    rslora: bool = False
    """Scale the update by alpha / sqrt(r) rather than alpha / r (arXiv 2312.03732)."""
    init: Literal["kaiming", "gaussian", "orthogonal"] = "kaiming"
    """Of the matrices A (`orthogonal`: of A and B); inits that change the frozen base are not on offer."""
    targets: Annotated[list[str], _Few] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], min_length=1
    )
    """The linear layers that get matrices, by the last part of their names."""
    dora: bool = False
    """Not on offer: refused with the reason."""

    @field_validator("init")
    @classmethod
    def _halves(cls, value: str, info: ValidationInfo) -> str:
        rank = info.data.get("r", 0)
        if value == "orthogonal" and rank % 2:
            raise ValueError(
                f"`orthogonal` makes A and B of two halves each, so it needs an even `r`, and `r` is {rank};"
                f" set `r: {rank + 1}`, or another `init`"
            )
        return value

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

    The adapter of the lowest loss is the one that is exported.
    """

    steps: int | None = Field(default=None, ge=1)
    """Evaluate every so many steps, and after the last one; a tenth of the run when not given."""
    patience: int | None = Field(default=None, ge=1)
    """So many evaluations without a lower loss end the run."""


class Checkpoints(Strict):
    """What an interrupted run goes on from. The newest ones stay, and the best one."""

    minutes: float = Field(default=10, gt=0)
    """Save every so many minutes."""
    steps: int | None = Field(default=None, ge=1)
    """Save every so many steps too."""
    keep: int = Field(default=2, ge=1)
    """How many of the newest stay."""


class Preference(Strict):
    """For `method: dpo` (arXiv 2305.18290)."""

    beta: float = Field(default=0.1, gt=0)
    """How strongly the adapter is held near the base: more stays nearer."""


class Training(Strict):
    """How it is learned. A step's rows are laid end to end and computed in passes: that changes memory and
    speed, and not what is learned. Exactly one of `epochs` and `steps` is given.
    """

    epochs: float | None = Field(default=None, gt=0)
    """How often all rows are learned."""
    steps: int | None = Field(default=None, ge=1, validate_default=True)
    """How many steps the run has."""
    batch: int = Field(default=8, ge=1)
    """Rows a step (pairs for `dpo`), over all processes."""
    micro_tokens: int | None = Field(default=None, ge=16)
    """Tokens of a pass: 2048 on CPU and 4096 on CUDA when not given; a longer row is a pass of its own."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """The highest rate of the run."""
    lora_plus: float = Field(default=1.0, ge=1)
    """How many times `learning_rate` the matrices B learn at (LoRA+, arXiv 2402.12354)."""
    optimizer: Literal["adamw", "adafactor", "sgd"] = "adamw"
    """What turns gradients into updates."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warmup."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """How strongly the matrices are pulled to zero."""
    clip: float = Field(default=1.0, gt=0)
    """The gradient's norm at most."""
    gradient_checkpointing: bool | None = None
    """Compute activations again in the backward pass; on CUDA only as far as memory asks, when not given."""
    seed: int = Field(default=0, ge=0)
    """Of the matrices' start, the order of rows and dropout: the same number gives the same run."""
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()

    @field_validator("steps")
    @classmethod
    def _one_length(cls, value: int | None, info: ValidationInfo) -> int | None:
        if "epochs" in info.data and (info.data["epochs"] is None) == (value is None):
            raise ValueError("give exactly one of `epochs` and `steps`")
        return value

    def steps_for(self, rows: int) -> int:
        """The length of a run over `rows` rows."""
        return self.steps or max(1, round((self.epochs or 1) * rows / self.batch))


def _switch(on: str) -> BeforeValidator:
    """YAML reads `on` and `off` without quotes as true and false."""
    return BeforeValidator(lambda value: (on if value else "off") if isinstance(value, bool) else value)


class Track(Strict):
    """Where the run's curves go, beside metrics.jsonl and the report."""

    wandb: Annotated[Literal["auto", "off"], _switch("auto")] = "auto"
    """`auto` records offline unless a key is there; `off` does not import it."""
    tensorboard: Annotated[Literal["on", "off"], _switch("on")] = "on"
    """Files for TensorBoard, in the adapter's folder."""
    project: str = "enxerto"
    """The name of wandb's project."""
    generations: int = Field(default=3, ge=0, le=32)
    """Held-out prompts (training ones without a held-out side) answered before and after, for the report."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", value):
        near = re.sub(r"[^a-z0-9._-]+", "-", value.lower()).strip("-._")[:63].rstrip("-._")
        raise ValueError(
            "use small letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first"
            + (f", such as `{near}`" if near else "")
        )
    return value


class Recipe(Strict):
    """A training run, from the base and the data to the adapter."""

    name: Annotated[str, AfterValidator(_name)]
    """The adapter's name: small letters, digits, `.`, `_` and `-`."""
    base: Annotated[Base, BeforeValidator(_named)]
    method: Literal["sft", "dpo"] = "sft"
    """`sft` learns the answers of conversations, `dpo` which of two answers is better."""
    data: Data
    lora: Lora = Lora()
    train: Training
    dpo: Preference = Preference()
    track: Track = Track()
    output: Made | None = None
    """The folder of the adapter, relative to the working folder; `runs/<name>` when not given."""

    @field_validator("data")
    @classmethod
    def _of_the_method(cls, value: Data, info: ValidationInfo) -> Data:
        if info.data.get("method") == "dpo" and value.learn != "all":
            raise ValueError("`data.learn` is for `method: sft`; `dpo` learns the preferred answer")
        if info.data.get("method") == "dpo" and value.too_long == "truncate":
            raise ValueError("`data.too_long: truncate` is for `method: sft`; a cut pair prefers nothing")
        return value

    @field_validator("dpo")
    @classmethod
    def _of_dpo(cls, value: Preference, info: ValidationInfo) -> Preference:
        if info.data.get("method") == "sft" and value.model_dump() != Preference().model_dump():
            raise ValueError(
                "`dpo` is for `method: dpo`, and the method here is `sft`; delete it or set `method`"
            )
        return value

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
    return load_yaml(path, Recipe, ELSEWHERE)
