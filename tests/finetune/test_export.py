"""However the matrices began, what is exported is plain LoRA, with which plain PEFT computes the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from data.manifest import DatasetEntry, read_base
from finetune.export import export
from finetune.model import add_lora, load_base
from finetune.recipe import Lora, Recipe
from tests.finetune import tiny_awq


@pytest.fixture(scope="module")
def tiny(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("export") / "awq"
    tiny_awq.make_base(folder, base)
    return folder


def stirred(model: Any) -> Any:
    """As if it had learned: every matrix is moved."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return model


@pytest.mark.parametrize("init", ["kaiming", "gaussian", "orthogonal"])
@pytest.mark.parametrize("rslora", [False, True])
def test_every_start_on_offer_is_exported_as_plain_lora(
    tiny: Path, tmp_path: Path, init: str, rslora: bool
) -> None:
    from peft import PeftModel

    lora = Lora.model_validate({"r": 4, "alpha": 8, "init": init, "rslora": rslora, "targets": ["q_proj"]})
    recipe = Recipe.model_validate(
        {
            "name": "begun",
            "base": "tiny-awq",
            "data": {"train": ["mine.jsonl"]},
            "train": {"steps": 1},
            "lora": lora.model_dump(),
            "output": str(tmp_path / "begun"),
        }
    )
    torch.manual_seed(1)
    model = stirred(add_lora(load_base(tiny, "dense", torch.float32), lora)).eval()
    entry = DatasetEntry(digest="sha256:0", sources=[], conversations=1, targets=1, tokens=2, learnt_tokens=1)
    training = {"steps": 1, "seconds": 1.0, "mean_loss": 1.0}
    manifest = export(model, recipe, read_base(tiny), entry, training, tmp_path / "begun")

    config = json.loads((tmp_path / "begun" / "adapter_config.json").read_text())
    assert config["init_lora_weights"] is True
    assert config["base_model_name_or_path"] == manifest.base.name == "tiny-awq"
    assert manifest.recipe["lora"]["init"] == init  # how it was made is still told
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    plain = PeftModel.from_pretrained(load_base(tiny, "dense", torch.float32), tmp_path / "begun").eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits, model(input_ids=ids).logits)
