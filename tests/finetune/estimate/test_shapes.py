"""Counts of numbers against transformers' and PEFT's own models."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from data.home import base_folder
from finetune.base import catalogue
from finetune.base.catalogue import Shape
from finetune.estimate.memory import ROOM, packed_bytes, weight_bytes
from finetune.estimate.shapes import adapter_numbers, linear_numbers, other_numbers, read, shape_of
from finetune.model import choice
from tests.conftest import BASE
from tests.finetune.estimate.model import recipe, shape, trainable

MISTRAL = "mistral-small-24b-instruct-2501-awq"
SMALL = {"tiny": shape(3), "untied": shape(2, tie_word_embeddings=False)}


def entry(name: str) -> Shape:
    found = catalogue.load()[name].shape
    assert found is not None
    return found


@pytest.mark.parametrize("targets", [["q_proj"], ["k_proj", "o_proj", "down_proj"], None])
@pytest.mark.parametrize("name", [*SMALL, MISTRAL])
def test_counts_are_those_of_a_real_model(name: str, targets: list[str] | None) -> None:
    made = SMALL.get(name) or entry(name)
    wanted = recipe(r=16, **({"targets": targets} if targets else {}))
    model = trainable(made, wanted, torch.bfloat16, "meta")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    assert adapter_numbers(made, wanted.lora) == trained
    assert linear_numbers(made) + other_numbers(made) == frozen


def test_mistral_small_has_the_numbers_that_its_card_says() -> None:
    made = entry(MISTRAL)
    assert linear_numbers(made) + other_numbers(made) == 23_572_403_200


def test_the_embedded_base_has_what_its_files_have(base: Path) -> None:
    made, origin = shape_of(BASE)
    assert (made, origin) == (entry(BASE), "its config.json")
    assert weight_bytes(made, "dense", 2) == choice.dense_bytes(base, torch.bfloat16)
    files = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    assert weight_bytes(made, "packed", 2) == pytest.approx(files, rel=0.01)
    assert packed_bytes(made) < linear_numbers(made)


def test_the_room_for_dense_weights_is_the_one_of_training() -> None:
    assert choice._ROOM == ROOM


def test_a_base_that_is_not_here_is_read_from_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path))
    made, origin = shape_of(MISTRAL)
    assert made.num_hidden_layers == 40
    assert "not here yet" in origin
    assert not base_folder(MISTRAL).exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[1]", "holds no settings of a model"),
        ("{", "it is not JSON"),
        ('{"model_type": "mixtral"}', "a model of the type 'mixtral'; only those of llama, mistral"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "weights of 4 bit by gptq"),
        ({"quantization_config": {"quant_method": "awq", "bits": 8}}, "weights of 8 bit by awq"),
        ({"hidden_size": None}, "lacks what an estimate needs (hidden_size"),
        ({"num_attention_heads": 0}, "lacks what an estimate needs (num_attention_heads"),
    ],
)
def test_other_configs_are_refused(config: str | dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    whole = {"model_type": "llama", **shape().model_dump()}
    path.write_text(config if isinstance(config, str) else json.dumps(whole | config))
    with pytest.raises(UserError) as refused:
        read(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_a_config_leaves_out_is_what_transformers_takes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    given = {"model_type": "qwen2", **shape().model_dump()}
    for key in ("num_key_value_heads", "head_dim", "tie_word_embeddings", "group_size"):
        del given[key]
    path.write_text(json.dumps(given))
    made = read(path)
    assert (made.num_key_value_heads, made.head_dim, made.tie_word_embeddings) == (6, 16, False)


def test_targets_that_match_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="names qkv_proj, which matches no module of this base; it has down"):
        adapter_numbers(shape(), recipe(targets=["q_proj", "qkv_proj"]).lora)
