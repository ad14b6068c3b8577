"""What one server is started with."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from data.limits import MAX_LORA_RANK
from data.manifest import BaseManifest

BASE_ALIASES = ("casperhansen-mistral-small-24b-instruct-2501-awq",)
"""Other names of the base, which clients written for a hosted endpoint send as `model`."""

ToolStrictLevel = Literal["auto", "function", "parameter"]
"""What a called tool's name and arguments are held to while they are generated, where the request's tools
do not say `strict` themselves: nothing, the tools' names, or the tools' schemas too. vLLM's term."""


def context_of(folder: Path) -> int | None:
    """Tokens of prompt and answer that a base was made for, by its config; None where that does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    longest = config.get("text_config", config).get("max_position_embeddings")
    return longest if isinstance(longest, int) else None


@dataclass(frozen=True)
class Settings:
    """`folder` holds the base's checkpoint, tokenizer and template, and `base` is its `base.json`.

    `max_loras` adapters are in the engine at a time, with ranks up to `max_lora_rank`. `max_model_len` is
    in tokens, prompt and answer together; None means what the base was made for.
    """

    base: BaseManifest
    folder: Path
    host: str = "127.0.0.1"
    port: int = 8321
    max_loras: int = 4
    max_lora_rank: int = MAX_LORA_RANK
    max_model_len: int | None = None
    tool_strict_level: ToolStrictLevel = "parameter"
    preload: tuple[str, ...] = ()
    """Names of versions that are loaded before the server says that it serves."""
    body_limit: int = 4 * 2**20
    """Bytes of a chat request at most."""
    stall_seconds: float = 20
    """How long a file on its way may stand still."""
    probe_seconds: float = 300
    """How long a process of the lowest priority may compute probes for an adapter that was trained elsewhere
    and came without; 0: none are computed here."""
    max_inflight: int = 64
    max_queue: int = 256
    queue_seconds: float = 60
    """Of each version of an adapter, and of the base: requests answered at a time, requests that wait for
    that or for a slot, and for how long they do at most."""
    measured_versions: int = 100
    """Versions with metrics of their own at a time, of some 90 series each."""
    request_seconds: float = 600
    """How long a chat may take, as long as OpenAI's clients wait."""
    cors_origins: tuple[str, ...] = ()
    """Web pages of these origins may call this server from a browser."""
    max_connections: int = 2048
    max_connections_per_address: int = 512
    """Connections with a request under way, in all and of one address; those that wait give way to others."""
    drain_seconds: float = 30
    """How long answers may go on once the server is told to stop."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @cached_property
    def context(self) -> int | None:
        """Tokens of prompt and answer at most, as far as that is known."""
        return self.max_model_len or context_of(self.folder)

    def names_base(self, model: str) -> bool:
        return model == self.base.name or model in BASE_ALIASES
