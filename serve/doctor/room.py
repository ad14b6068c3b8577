"""What a base takes of this machine: weights, KV cache, adapters' slots; and what then fits.

Calculated from config.json and the headers of the weights. What no formula gives, `PROCESSES`, was
measured; `tests/e2e/test_doctor.py` holds the sum against a running server.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.doctor.finding import Finding, ok, problem, warning
from serve.doctor.machine import GB, Machine
from serve.engine.defaults import KV_CACHE_GIB_ON_CPU, LORA_MODULES, SEQUENCES_ON_CPU
from serve.registry import base_modules

PROCESSES = 2.1 * GB
"""The server's process and vLLM's with all their libraries, without a model."""

COPIES_ON_CPU = 3
"""Of an adapter: vLLM's slot, its copy of what is in there, and the operators' own without padding."""

STEP_TOKENS = 2048
"""vLLM's most tokens a step, prompts included."""

GPU_SHARE = 0.92
"""Of a GPU's memory, vLLM's `--gpu-memory-utilization`."""

HALF = 2
"""Bytes of a number: bfloat16 and float16."""


@dataclass(frozen=True)
class Asked:
    """As the options of `serve up`."""

    max_loras: int
    max_lora_rank: int
    max_model_len: int | None


@dataclass(frozen=True)
class Base:
    """All in bytes; `token` is one of the KV cache, `slot` an adapter's of the highest rank."""

    weights: float
    token: float
    slot: float
    step: float
    longest: int
    """Tokens of prompt and answer, as the base was made for."""

    @classmethod
    def read(cls, folder: Path, rank: int) -> "Base":
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        config = config.get("text_config", config)
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        keys = config.get("num_key_value_heads", heads)
        head = config.get("head_dim") or hidden // heads
        inner, words = config["intermediate_size"], config["vocab_size"]
        adapted = [
            sides
            for name, sides in base_modules.read(folder).items()
            if name.rpartition(".")[2] in LORA_MODULES
        ]
        return cls(
            weights=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
            token=2 * config["num_hidden_layers"] * keys * head * HALF,
            slot=sum(rank * (inputs + outputs) * HALF for inputs, outputs in adapted),
            # A layer's widest moment, and the logits with their copy in float32.
            step=STEP_TOKENS * (4 * hidden + 3 * inner) * HALF + SEQUENCES_ON_CPU * words * (HALF + 4),
            longest=config["max_position_embeddings"],
        )


def findings(folder: Path, asked: Asked, machine: Machine, kind: str | None) -> Iterator[Finding]:
    base = Base.read(folder, asked.max_lora_rank)
    if kind == "gpu":
        if machine.gpus:
            yield from _on_gpu(base, asked, machine)
        return
    given = os.environ.get("VLLM_CPU_KVCACHE_SPACE") or str(KV_CACHE_GIB_ON_CPU)
    if not given.isdigit():
        yield problem(
            "context", f"VLLM_CPU_KVCACHE_SPACE={given} is no whole number of GiB, as vLLM wants it."
        )
        return
    cache = int(given) * 2**30
    need = PROCESSES + base.weights + base.step + cache + COPIES_ON_CPU * asked.max_loras * base.slot
    parts = f"programs {PROCESSES / GB:.1f} GB, {_parts(base, asked, cache, COPIES_ON_CPU)}"
    if need > machine.free:
        yield problem(
            "memory for it",
            f"{parts}: {need / GB:.1f} GB together, and {machine.free / GB:.1f} GB are free; start with "
            "fewer --max-loras, or a smaller VLLM_CPU_KVCACHE_SPACE.",
        )
    else:
        more = int((machine.free - need) / (COPIES_ON_CPU * base.slot))
        yield ok(
            "memory for it",
            f"{parts}: {need / GB:.1f} of {machine.free / GB:.1f} GB free; {more} more slots would fit.",
        )
    yield _lengths(base, asked, cache, "give the cache more with VLLM_CPU_KVCACHE_SPACE (GiB), or start with")


def _on_gpu(base: Base, asked: Asked, machine: Machine) -> Iterator[Finding]:
    gpu = machine.gpus[0]
    share = GPU_SHARE * gpu.memory
    if gpu.free < share:
        yield problem(
            "gpu memory",
            f"vLLM takes {share / GB:.0f} GB of {gpu.name} and {gpu.free / GB:.0f} GB are free; end what "
            "else uses it.",
        )
    cache = share - base.weights - base.step - asked.max_loras * base.slot
    parts = _parts(base, asked, max(cache, 0), 1)
    if cache <= 0:
        yield problem(
            "memory for it", f"{parts} do not fit {share / GB:.0f} GB; start with fewer --max-loras."
        )
        return
    yield ok("memory for it", f"{parts}, of {share / GB:.0f} GB.")
    yield _lengths(base, asked, cache, "start with fewer --max-loras, or with")


def _parts(base: Base, asked: Asked, cache: float, copies: int) -> str:
    slots = copies * asked.max_loras * base.slot
    return (
        f"weights {base.weights / GB:.1f} GB, KV cache {cache / GB:.1f} GB, {asked.max_loras} slots of rank "
        f"{asked.max_lora_rank} {slots / GB:.1f} GB"
    )


def _lengths(base: Base, asked: Asked, cache: float, advice: str) -> Finding:
    length, tokens = asked.max_model_len or base.longest, int(cache / base.token)
    if length > base.longest:
        return problem(
            "context",
            f"--max-model-len {length} is more than the base's {base.longest} tokens; ask for less.",
        )
    if tokens < length:
        return problem(
            "context",
            f"The KV cache holds {tokens} tokens, and one chat may have {length}: {advice} "
            f"--max-model-len {tokens // 128 * 128}.",
        )
    chats = tokens // length
    said = f"The KV cache holds {tokens} tokens: {chats} chats of the full {length}, or more shorter ones."
    return ok("context", said) if chats > 1 else warning("context", said)
