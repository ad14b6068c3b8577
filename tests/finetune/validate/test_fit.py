"""Recipe-level checks: ranks that a server does not hold by default, and targets that the base lacks."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune.validate.command import validate

SAMPLES = Path(__file__).parents[3] / "data" / "samples"
BASE = "smollm2-135m-instruct-awq"


def run(tmp_path: Path, lora: dict[str, Any], strict: bool = False) -> Any:
    path, out = tmp_path / "recipe.yaml", tmp_path / "out.json"
    data = {"train": [str(SAMPLES / "heldout_chat.jsonl")]}
    path.write_text(
        yaml.safe_dump({"name": "x", "base": BASE, "data": data, "lora": lora, "train": {"epochs": 1}})
    )
    code = validate([str(path)], [], None, strict, out)
    found = json.loads(out.read_text())["findings"]
    assert all(one["where"] == str(path) for one in found)
    return code, [(one["kind"], one["severity"], one["message"]) for one in found]


@pytest.mark.parametrize(("rank", "enough"), [(33, 64), (64, 64), (65, 128), (300, 320), (512, 512)])
def test_a_rank_above_the_servers_default_is_a_warning(
    base: Path, tmp_path: Path, rank: int, enough: int
) -> None:
    code, [(kind, severity, message)] = run(tmp_path, {"r": rank})
    assert (code, kind, severity) == (0, "lora_rank", "warning")
    assert message.startswith(
        f"lora.r is {rank}, and a server holds ranks up to 32 unless it is started with"
        f" --max-lora-rank {enough};"
    )
    assert run(tmp_path, {"r": rank}, strict=True)[0] == 2


@pytest.mark.parametrize("rank", [1, 24, 32])
def test_any_rank_up_to_the_servers_fits(base: Path, tmp_path: Path, rank: int) -> None:
    assert run(tmp_path, {"r": rank}, strict=True) == (0, [])


@pytest.mark.parametrize("target", ["q_prj", "lm_head", "embed_tokens", "mlp", "proj", ""])
def test_targets_that_the_base_does_not_have(base: Path, tmp_path: Path, target: str) -> None:
    code, [(kind, severity, message)] = run(tmp_path, {"targets": ["q_proj", target]})
    assert (code, kind, severity) == (2, "lora_targets", "error")
    assert message.startswith(f"lora.targets names {target}, which matches no module of this base")
    assert message.endswith("it has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj.")


def test_targets_may_name_more_of_a_module(base: Path, tmp_path: Path) -> None:
    targets = ["self_attn.q_proj", "model.layers.3.mlp.up_proj"]
    assert run(tmp_path, {"targets": targets}, strict=True) == (0, [])


def test_without_the_base_targets_are_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "empty"))
    assert run(tmp_path, {"targets": ["q_prj"]}) == (0, [])
