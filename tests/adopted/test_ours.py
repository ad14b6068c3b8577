"""Every option of a recipe that training offers makes an adapter that the registry takes."""

import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import torch

from data.manifest import AdapterManifest, DatasetEntry, read_base
from finetune.export import export
from finetune.model import add_lora
from finetune.recipe import Lora, Recipe
from serve.registry import base_modules, lora_config, validate
from tests.adopted.conftest import Grafts
from tests.finetune import tiny_awq

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PLAIN: dict[str, Any] = {"r": 4, "alpha": 8}

OPTIONS: dict[str, dict[str, Any]] = {
    "init: kaiming": {"lora": {"init": "kaiming"}},
    "init: gaussian": {"lora": {"init": "gaussian"}},
    "init: orthogonal": {"lora": {"init": "orthogonal"}},
    "rslora": {"lora": {"rslora": True}},
    "dropout": {"lora": {"dropout": 0.3}},
    "a part of the targets": {"lora": {"targets": ["q_proj"]}},
    "targets by path": {"lora": {"targets": ["self_attn.v_proj", "model.layers.1.mlp.up_proj"]}},
    "all targets": {"lora": {"targets": ALL}},
    "alpha of a fraction": {"lora": {"alpha": 0.5}},
    "rank 1": {"lora": {"r": 1}},
    "rank 64": {"lora": {"r": 64}},
    "lora_plus": {"train": {"lora_plus": 8}},
    "adafactor": {"train": {"optimizer": "adafactor", "schedule": "constant"}},
    "dpo": {"method": "dpo", "dpo": {"beta": 0.3}},
}


def exported(grafts: Grafts, options: dict[str, Any], folder: Path) -> AdapterManifest:
    """What `finetune train` writes for a recipe with these options, with matrices as if it had learned."""
    recipe = Recipe.model_validate(
        {
            "name": "options",
            "base": tiny_awq.BASE,
            "data": {"train": ["data/samples/train.jsonl"]},
            "train": {"steps": 1} | options.get("train", {}),
            "lora": PLAIN | options.get("lora", {}),
            **{key: value for key, value in options.items() if key in ("method", "dpo")},
        }
    )
    model = add_lora(grafts.model, recipe.lora)
    try:
        torch.manual_seed(3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
        facts = {"steps": 1, "seconds": 1.0, "mean_loss": 1.0}
        dataset = DatasetEntry(
            digest="sha256:0", sources=[], conversations=1, targets=1, tokens=1, learnt_tokens=1
        )
        return export(model, recipe, read_base(grafts.base), dataset, facts, folder)
    finally:
        model.unload()


@pytest.mark.parametrize("option", list(OPTIONS))
def test_an_adapter_of_each_option_enters(option: str, grafts: Grafts, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    manifest = exported(grafts, OPTIONS[option], folder)
    checked = validate.check(folder, read_base(grafts.base), base_modules.read(grafts.base), 64)
    assert checked.manifest == manifest
    told, written = json.loads(checked.config), json.loads((folder / "adapter_config.json").read_text())
    for key in ("r", "lora_alpha", "use_rslora"):
        assert told[key] == written[key], key
    assert "init_lora_weights" not in told, "the engine needs no word of how the matrices began"


def test_every_start_that_a_recipe_offers_is_among_the_options() -> None:
    offered = set(typing.get_args(Lora.model_fields["init"].annotation))
    assert {f"init: {start}" for start in offered} <= OPTIONS.keys()


def test_a_start_that_a_recipe_does_not_offer_is_refused_by_the_registry() -> None:
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    for start in ("pissa", "olora", "corda", "loftq", "lora_ga", "eva_niter_3", "newest"):
        with pytest.raises(Exception, match=re.escape("init_lora_weights")):
            lora_config.parse(json.dumps(config | {"init_lora_weights": start}).encode())
