"""Layers that an adapter may change: as the model itself has them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from finetune.base.modules import adaptable, unknown_targets
from finetune.model.lora import add_lora
from finetune.recipe import Lora


@pytest.fixture
def model(base: Path) -> Any:
    """The base as transformers makes it, without weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base)
    del config.quantization_config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def test_names_are_those_of_the_models_linear_layers(base: Path, model: Any) -> None:
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    assert len(linear) == 7 * 30 + 1
    assert sorted(adaptable(base)) == sorted(linear - {"lm_head"})


@pytest.mark.parametrize("target", ["q_prj", "lm_head", "embed_tokens", "mlp"])
def test_training_says_what_validation_says(base: Path, model: Any, target: str) -> None:
    with pytest.raises(UserError) as caught:
        add_lora(model, Lora(targets=["q_proj", target]))
    assert str(caught.value) == unknown_targets([target], adaptable(base))


def test_layers_that_were_not_quantised_count_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {"a.mlp.up_proj.qweight": (4, 4), "a.gate.weight": (4, 4), "a.norm.weight": (4,)}
    tensors |= {"lm_head.weight": (4, 4), "a.embed_tokens.weight": (4, 4)}
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / "x.safetensors")
    assert sorted(adaptable(tmp_path)) == ["a.gate", "a.mlp.up_proj"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"oops")
    with pytest.raises(UserError, match=r"x\.safetensors cannot be read .*; build or download"):
        adaptable(tmp_path)


def test_all_unknown_targets_are_named_at_once() -> None:
    modules = ["layers.0.attn.q_proj", "layers.0.mlp.up_proj"]
    assert unknown_targets(["q_proj", "mlp.up_proj", "layers.0.attn.q_proj"], modules) is None
    assert unknown_targets(["q_proj", "proj", "attn"], modules) == (
        "lora.targets names proj, attn, which match no module of this base that an adapter may change; it has"
        " q_proj, up_proj."
    )
