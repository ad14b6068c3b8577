"""Adapters of other trainers on the real base and the real vLLM, with probes that are computed here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from serve.client import registry
from serve.client.push import push
from serve.registry import base_modules
from tests.conftest import Server

pytestmark = pytest.mark.e2e

KINDS = ("q_proj", "v_proj", "down_proj")


def foreign(folder: Path, base: Path, seed: int, end: str = ".weight") -> Path:
    """A PEFT folder on the embedded base, with its rank by name, as no engine alone honors it right."""
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {}
    for module, (inputs, outputs) in base_modules.read(base).items():
        kind = module.rpartition(".")[2]
        if kind in KINDS:
            rank = 4 if kind == "v_proj" else 8
            begin = f"base_model.model.{module}.lora"
            values[f"{begin}_A{end}"] = random.normal(scale=0.03, size=(rank, inputs)).astype("f4")
            values[f"{begin}_B{end}"] = random.normal(scale=0.03, size=(outputs, rank)).astype("f4")
    folder.mkdir()
    save_file(values, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": 8,
        "lora_alpha": 16,
        "rank_pattern": {"v_proj": 4},
        "target_modules": list(KINDS),
        "task_type": "CAUSAL_LM",
        "init_lora_weights": "gaussian",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "training_args.bin").write_bytes(b"\x80\x04]\x94.")
    return folder


def agrees(name: str, url: str) -> dict[str, Any]:
    """What came of the probes of its only version."""
    (version,) = registry.adapter(name, url)["versions"]
    (parity,) = version["parity"]
    assert parity["why"] is None
    found: dict[str, Any] = parity["found"]
    assert found["adapter"]["places"] == 96 and found["adapter"]["top1"] >= 0.9
    assert found["trained_effect"] > 0.01, "the sample itself is inert"
    assert 0.5 < found["effect"] / found["trained_effect"] < 2
    return version


@pytest.mark.timeout(900)
def test_who_pushes_computes_probes_and_the_engine_agrees(server: Server, base: Path, tmp_path: Path) -> None:
    said: list[str] = []
    folder = foreign(tmp_path / "checkpoint-60", base, 1)
    pushed = push(folder, "foreign-here", ["default"], server.url, say=said.append)
    assert pushed["state"] == "ready" and not pushed["adopted"].get("without_probes")
    assert "no parity probes" not in " ".join(said)
    assert "probes.json" in agrees("foreign-here", server.url)["files"]


@pytest.mark.timeout(900)
def test_a_server_computes_them_where_who_pushes_cannot(
    server: Server, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "nothing"))
    said: list[str] = []
    folder = foreign(tmp_path / "state", base, 2, end=".default.weight")
    pushed = push(folder, "foreign-there", ["default"], server.url, say=said.append)
    assert pushed["state"] == "ready" and not pushed["adopted"].get("without_probes")
    assert "is not on this machine" in " ".join(said)
    assert "probes.json" not in agrees("foreign-there", server.url)["files"]
