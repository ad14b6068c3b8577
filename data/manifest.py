"""What a base and an adapter say of themselves: the versioned JSON that trainer and server share."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from data import digest
from data.errors import OVERRIDES, UserError
from data.mistakes import first_error

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "manifest.json")
"""The files that make an adapter; nothing else is needed to serve it."""

OPTIONAL_FILES = ("README.md", "probes.json", "report.json")
"""Files that may come with an adapter: for people, for the parity check, for the gate."""


def one_line(text: str) -> str:
    """`text` again, if pages and terminals can show it as it is; ValueError otherwise."""
    if any(sign in OVERRIDES or unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text):
        raise ValueError("it holds a control character")
    return text


Line = Annotated[str, Field(max_length=1024), AfterValidator(one_line)]
"""Text that pages and terminals show."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RendererId(_Shape):
    """Which code turns messages into tokens, and from which file (`digest` of template or tekken)."""

    name: Literal["template", "mistral"]
    version: int
    digest: Line


class BaseIdentity(_Shape):
    """Everything that makes two bases the same for an adapter. Digests are `sha256:<hex>`."""

    config: str
    quantization: dict[str, Any]
    weights: dict[str, str]
    tokenizer: str
    renderer: RendererId


class BaseManifest(_Shape):
    """`base.json` beside the weights of a resolved base."""

    schema_version: Literal[1] = 1
    name: str
    source: dict[str, Any]
    identity: BaseIdentity
    fingerprint: str
    quality: dict[str, float] = {}
    """Perplexities from the build's guard, where this machine built the base."""

    @staticmethod
    def fingerprint_of(identity: BaseIdentity) -> str:
        return digest.of_json(identity.model_dump(mode="json"))


class FileEntry(_Shape):
    sha256: Line
    size: int = Field(ge=0, le=2**50)


class AdapterBase(_Shape):
    name: Line
    fingerprint: Line


class SourceEntry(_Shape):
    """What one source of the recipe gave: conversations read, held out, and used (repeats count)."""

    path: Line
    weight: float = 1.0
    format: Line | None = None
    read: int | None = None
    held_out: int | None = None
    used: int | None = None
    """None in manifests from before these were counted."""


class HeldOutEntry(_Shape):
    """The split that was made, and what fell to its held-out side."""

    share: float
    seed: int
    groups: int
    conversations: int


def _named(value: Any) -> Any:
    """The first manifests wrote a source as its path alone."""
    return {"path": value} if isinstance(value, str) else value


class DatasetEntry(_Shape):
    """`conversations` were read for training, held-out ones not among them, before any weight."""

    digest: Line
    sources: list[Annotated[SourceEntry, BeforeValidator(_named)]]
    mix_seed: int = 0
    heldout: HeldOutEntry | None = None
    conversations: int
    targets: int
    tokens: int
    learnt_tokens: int
    dropped: dict[Line, int] = {}
    """What was left out, by reason: rows that are too long, records that were skipped, what was cut off."""
    unused: dict[Line, int] = {}
    """In how many records a key said nothing, by its path without indices; the most frequent ones."""


class AdapterManifest(_Shape):
    """`manifest.json` of an adapter that `finetune train` wrote: where it comes from, its files' digests."""

    schema_version: Literal[1] = 1
    name: Line
    base: AdapterBase
    renderer: RendererId
    dataset: DatasetEntry
    recipe: dict[str, Any]
    recipe_digest: Line
    training: dict[Line, Any]
    """Steps, tokens, seconds, losses: numbers for people, never read by the server."""
    code: dict[Line, Line]
    """Version, commit and package versions."""
    created: Line
    files: dict[str, FileEntry]
    """Entries for `adapter_config.json` and `adapter_model.safetensors`."""


class Adoption(_Shape):
    """What is known of an adapter that was trained elsewhere; all of it is as its folder says.

    `source` is where it was taken from, `digest` is over its files as they lay there, `layout` is how they
    were written, `trainer` what seems to have written them, `claimed_base` the base that they name, and
    `known_base` whether that is a name of the base that serves it.
    """

    source: Line
    digest: Line
    layout: Line
    trainer: Line | None = None
    claimed_base: Line | None = None
    known_base: bool = False


class AdoptedManifest(_Shape):
    """`manifest.json` of an adapter that was trained elsewhere and mapped to this layout by `serve push`.

    `base` is the base whose layers it fits, which nobody can prove it was trained on. Without a time: the
    same files are the same version, whenever they are pushed.
    """

    schema_version: Literal[1] = 1
    name: Line
    base: AdapterBase
    adopted: Adoption
    files: dict[str, FileEntry]
    """Entries for `adapter_config.json` and `adapter_model.safetensors`."""


def adapter_digest(file_digests: dict[str, str]) -> str:
    """The digest that names a version: over the digests of all of its files, by name."""
    return digest.of_json(file_digests)


def read_base(folder: Path) -> BaseManifest:
    """`base.json` of a resolved base folder; UserError when it is not one."""
    path = folder / "base.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no base.json; make one with `finetune base {folder}`.")
    try:
        return BaseManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = first_error(error)
        raise UserError(f"{path} is not a base manifest ({reason}); build the base again.") from None
