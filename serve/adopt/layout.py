"""What an adapter must fit: a base's names, its linear layers and its attention's heads, as a server says."""

import re
from functools import cached_property

from pydantic import BaseModel, Field

from data.manifest import Line

_QUANTIZED = re.compile(r"([-_.](awq|gptq|unsloth|bnb|fp8|int[48]|[48]bits?|nf4|hf|gemm|w4a16|g\d+))+$")
"""What repositories add to a model's name for its quantization."""

TEXT_PREFIXES = {
    "", "model.", "model.model.", "language_model.", "language_model.model.", "model.language_model.",
    "model.language_model.model.", "model.text_model.", "text_model.",
}  # fmt: skip
"""What may stand before a language model's layers, once the trainers' wrappers are off."""

_LAYER = re.compile(r"(?P<prefix>(?:[A-Za-z0-9_]+\.)*?)layers\.(?P<layer>\d{1,4})\.(?P<path>.+)")


class Heads(BaseModel):
    """How many heads ask, and how many are asked."""

    query: int = Field(gt=0)
    key: int = Field(gt=0)


class BaseLayout(BaseModel):
    """`modules` are the linear layers by name, with their (in, out) features."""

    name: Line
    fingerprint: Line
    names: list[str]
    modules: dict[str, tuple[int, int]]
    heads: Heads | None
    max_lora_rank: int

    @cached_property
    def places(self) -> dict[str, tuple[int, str]]:
        """Layer and path of each module in the language model's layers, as `(0, "self_attn.q_proj")`."""
        found = ((module, _LAYER.fullmatch(module)) for module in self.modules)
        return {
            module: (int(one["layer"]), one["path"])
            for module, one in found
            if one and one["prefix"] in TEXT_PREFIXES
        }

    @cached_property
    def modules_at(self) -> dict[tuple[int, str], str]:
        """The module at each place, whatever stands before `layers` in its name."""
        return {place: module for module, place in self.places.items()}

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return max((layer + 1 for layer, _ in self.places.values()), default=0)

    def is_known_as(self, name: str | None) -> bool:
        """Whether a name is one of the base's, or of the model that it is a quantization of."""
        return bool(name) and _plain(name or "") in {_plain(known) for known in self.names}


def _plain(name: str) -> str:
    return _QUANTIZED.sub("", name.rstrip("/").rpartition("/")[2].lower())
