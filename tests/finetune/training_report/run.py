"""A training run as its files tell it, made up."""

import json
import math
from pathlib import Path
from typing import Any

from data.manifest import AdapterManifest

DIGEST = "sha256:" + "d" * 64
EVIL = "</style><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{ 7 * 7 }}"


def manifest(name: str = "support", **training: Any) -> AdapterManifest:
    sources = [
        {"path": "data/one.jsonl", "read": 1250, "held_out": 62, "used": 1188},
        {"path": "hf:owner/two", "weight": 0.5, "format": "hermes", "read": 300, "held_out": 10, "used": 145},
    ]
    return AdapterManifest.model_validate(
        {
            "name": name,
            "base": {"name": "tiny-base", "fingerprint": "sha256:" + "b" * 64},
            "renderer": {"name": "template", "version": 3, "digest": "sha256:" + "c" * 64},
            "dataset": {
                "digest": DIGEST,
                "sources": sources,
                "heldout": {"share": 0.05, "seed": 4, "groups": 70, "conversations": 72},
                "conversations": 1478,
                "targets": 1600,
                "tokens": 500_000,
                "learnt_tokens": 60_000,
                "dropped": {"longer than 512 tokens": 7},
            },
            "recipe": {"name": name, "lora": {"r": 16, "targets": ["q_proj"]}},
            "recipe_digest": "sha256:" + "e" * 64,
            "training": training,
            "code": {"enxerto": "0.1.0", "torch": "2.13.0"},
            "created": "2026-11-24T10:12:13+00:00",
            "files": {"adapter_model.safetensors": {"sha256": "sha256:" + "f" * 64, "size": 12345}},
        }
    )


def step(number: int, **changed: Any) -> dict[str, Any]:
    """One line of metrics.jsonl of a training step; the loss falls, and wavers."""
    return {
        "step": number,
        "loss": 0.5 + 2 * math.exp(-number / 50) + 0.1 * math.sin(number),
        "learning_rate": 5e-4 / number,
        "grad_norm": 1 + math.cos(number) ** 2,
        "tokens": 1000,
        "learnt_tokens": 150,
        "tokens_per_second": 640.0 + number % 3,
        "seconds": 1.5 * number,
        "memory_gb": 2.1,
        **changed,
    }


def evaluation(number: int, loss: float) -> dict[str, Any]:
    return {
        "step": number,
        "heldout_loss": loss,
        "heldout_tokens": 4000,
        "best": True,
        "seconds": 1.5 * number,
    }


def adapter(folder: Path, metrics: list[dict[str, Any]], **training: Any) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(manifest(**training).model_dump_json())
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    return folder
