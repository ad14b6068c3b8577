"""Parity probes: what the trainer's model said at a few places, for a server to agree with."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

FILE = "probes.json"
TOP = 20
"""Most likely tokens that are kept of each distribution; what vLLM gives at most by default."""

MAX_TOKENS = 2**13
"""In all probes together: a server reads each twice before it lets the adapter in, and others wait meanwhile.
A trainer writes 12 prompts of 512 tokens at most, and 4 short ones."""

TokenId = Annotated[int, Field(ge=0, lt=2**31)]
LogProb = Annotated[float, Field(le=0.01, ge=-1e4, allow_inf_nan=False)]
Distribution = Annotated[list[tuple[TokenId, LogProb]], Field(min_length=1, max_length=TOP)]
"""The most likely next tokens with their natural log probabilities, the likeliest first."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Shape):
    """What comes at `at` in a probe's tokens, given those before it: by the base, and with the adapter."""

    at: int = Field(ge=1)
    base: Distribution
    adapter: Distribution


class Probe(_Shape):
    """A prompt in tokens, with the places that were looked at."""

    source: Literal["heldout", "train", "fixed"]
    token_ids: list[TokenId] = Field(min_length=2, max_length=4096)
    places: list[Place] = Field(min_length=1, max_length=64)


class Rounding(_Shape):
    """Mean divergence in nats of the trainer's model from itself, its layers' outputs a little disturbed:
    what another order of sums does to the base, and to the base with this adapter."""

    base: float = Field(ge=0, allow_inf_nan=False)
    adapter: float = Field(ge=0, allow_inf_nan=False)


class Probes(_Shape):
    """`probes.json` of an adapter. `computed` is what the trainer computed in, as in `dense bfloat16`."""

    schema_version: Literal[1] = 1
    computed: str = Field(max_length=100)
    rounding: Rounding | None = None
    probes: list[Probe] = Field(min_length=1, max_length=64)

    @field_validator("probes")
    @classmethod
    def _bounded(cls, probes: list[Probe]) -> list[Probe]:
        tokens = sum(len(probe.token_ids) for probe in probes)
        if tokens > MAX_TOKENS:
            raise ValueError(
                f"they have {tokens} tokens together, more than {MAX_TOKENS}; give fewer or shorter ones"
            )
        return probes
