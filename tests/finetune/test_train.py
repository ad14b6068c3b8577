"""A real training of a few steps on the embedded base, from the command line to the adapter folder."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from data import digest
from data.errors import UserError
from data.formats import read
from data.manifest import AdapterManifest, read_base
from finetune import recipe as recipes
from finetune.model import add_lora, check_gradients, load_base
from finetune.render import open_renderer
from finetune.training.trainer import arguments, optimizer
from tests.waiting import HUNG

SAMPLES = Path("data/samples/heldout_chat.jsonl")


def write_recipe(folder: Path, **changes: object) -> Path:
    recipe = {
        "name": "few",
        "base": "smollm2-135m-instruct-awq",
        "data": {"train": [str(SAMPLES)], "max_length": 115, "limits": {"dropped": 1}},
        "lora": {"r": 4, "alpha": 8, "targets": ["q_proj", "down_proj"]},
        "train": {"steps": 3, "batch": 4, "micro_tokens": 256, "learning_rate": 2e-3, "warmup": 0},
        "track": {"wandb": "off"},
        "output": str(folder / "few"),
    } | changes
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def finetune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=False)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    result = finetune("train", write_recipe(folder))
    assert result.returncode == 0, result.stderr
    assert "gradients reach every adapter matrix" in result.stderr
    return folder / "few"


def test_the_adapter_folder_is_whole_and_true(trained: Path, base: Path) -> None:
    manifest = AdapterManifest.model_validate_json((trained / "manifest.json").read_bytes())
    assert manifest.base.fingerprint == read_base(base).fingerprint
    assert manifest.renderer == read_base(base).identity.renderer
    assert manifest.training["steps"] == 3
    assert manifest.dataset.conversations == 30
    kept = sum(len(row.input_ids) <= 115 for row in samples(base))
    assert 0 < kept < 30
    assert manifest.dataset.dropped == {"longer than 115 tokens": 30 - kept}
    for name, entry in manifest.files.items():
        assert entry.sha256 == digest.of_file(trained / name)
        assert entry.size == (trained / name).stat().st_size
    assert manifest.dataset.digest in (trained / "README.md").read_text()
    assert [path.name for path in trained.parent.iterdir() if path.name.startswith(".")] == []


def test_metrics_have_a_line_a_step_and_the_adapter_learns(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(math.isfinite(line["loss"]) and line["grad_norm"] > 0 for line in lines)


def test_plain_peft_loads_the_adapter_and_it_changes_the_model(trained: Path, base: Path) -> None:
    from peft import PeftModel

    model = load_base(base, "dense", torch.float32)
    ids = torch.tensor([samples(base)[0].input_ids[:40]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, trained)(input_ids=ids).logits
    assert not torch.allclose(before, after)


def samples(base: Path) -> list[recipes.Any]:
    renderer = open_renderer(base)
    return [row for chat in read(SAMPLES) for row in renderer.samples(chat)]


def test_lora_plus_is_the_ratio_of_the_two_learning_rates(base: Path, tmp_path: Path) -> None:
    model = add_lora(load_base(base, "dense", torch.float32), recipes.Lora(r=2, targets=["q_proj"]))
    settings = recipes.Training(steps=1, learning_rate=1e-3, lora_plus=4, weight_decay=0.01)
    made = optimizer(model, settings, arguments(settings, 1, tmp_path))
    rates = {
        id(p): (group["lr"], group["weight_decay"]) for group in made.param_groups for p in group["params"]
    }
    trained = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert {rate for name, rate in trained.items() if "lora_A" in name} == {(1e-3, 0.01)}
    assert {rate for name, rate in trained.items() if "lora_B" in name} == {(4e-3, 0.01)}


def test_a_kernel_that_loses_gradients_is_found(base: Path) -> None:
    model = add_lora(load_base(base, "dense", torch.float32), recipes.Lora(r=2, targets=["q_proj"]))
    ids = samples(base)[0].input_ids[:16]
    check_gradients(model, ids)
    layer = model.get_base_model().model.layers[20].mlp
    forward = layer.down_proj.forward
    layer.down_proj.forward = lambda x: forward(x).detach()
    self_attention = model.get_base_model().model.layers[20]
    whole = self_attention.forward
    self_attention.forward = lambda hidden, *args, **kwargs: whole(hidden.detach(), *args, **kwargs)
    with pytest.raises(UserError, match="passes no gradient to 40 adapter matrices"):
        check_gradients(model, ids)
