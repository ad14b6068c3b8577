"""A real training of a few steps on the embedded base, from the command line to the adapter folder."""

import json
import math
import signal
import subprocess
import sys
import time
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
from finetune.trainer import IGNORED, arguments, collate, optimizer, token_losses

SAMPLES = Path("data/samples/heldout_chat.jsonl")


def write_recipe(folder: Path, **changes: object) -> Path:
    recipe = {
        "name": "few",
        "base": "smollm2-135m-instruct-awq",
        "data": {"train": [str(SAMPLES)], "max_length": 115},
        "lora": {"r": 4, "alpha": 8, "targets": ["q_proj", "down_proj"]},
        "train": {"steps": 3, "batch": 4, "micro_batch": 2, "learning_rate": 2e-3, "warmup": 0},
        "track": {"wandb": "off"},
        "output": str(folder / "few"),
    } | changes
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def finetune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


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


def test_our_loss_is_transformers_loss(base: Path) -> None:
    """Rows end to end, learnt positions and shift: against transformers' attention and loss, row by row."""
    model = add_lora(load_base(base, "dense", torch.float32), recipes.Lora(r=2, targets=["v_proj"]))
    rows = samples(base)[:3]
    examples = [
        {
            "input_ids": row.input_ids,
            "labels": [t if m else IGNORED for t, m in zip(row.input_ids, row.completion_mask, strict=True)],
        }
        for row in rows
    ]
    batch = collate(examples)
    with torch.no_grad():
        ours = token_losses(model, **batch)
        model.get_base_model().set_attn_implementation("eager")
        theirs = []
        for example in examples:
            ids, labels = torch.tensor([example["input_ids"]]), torch.tensor([example["labels"]])
            count = int((labels[:, 1:] != IGNORED).sum())
            theirs.append(model(input_ids=ids, labels=labels).loss * count)
    assert ours.numel() == sum(sum(row.completion_mask) for row in rows)
    assert float(ours.sum()) == pytest.approx(float(sum(theirs)), rel=1e-5)


def test_lora_plus_is_the_ratio_of_the_two_learning_rates(base: Path, tmp_path: Path) -> None:
    model = add_lora(load_base(base, "dense", torch.float32), recipes.Lora(r=2, targets=["q_proj"]))
    settings = recipes.Training(steps=1, learning_rate=1e-3, lora_plus=4, weight_decay=0.01)
    made = optimizer(model, settings, arguments(settings, rows=1, folder=str(tmp_path), half=False))
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


def test_an_output_folder_that_exists_is_not_touched(trained: Path) -> None:
    before = sorted(path.name for path in trained.iterdir())
    result = finetune("train", write_recipe(trained.parent))
    assert result.returncode == 2
    assert "exists already" in result.stderr
    assert sorted(path.name for path in trained.iterdir()) == before


def test_killed_in_the_middle_it_leaves_no_adapter_and_runs_again(base: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, train={"steps": 200, "batch": 2})
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune", "train", str(recipe)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 200
    while not list(tmp_path.glob(".few.*/metrics.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "few").exists()
    again = write_recipe(tmp_path, train={"steps": 1, "batch": 1})
    assert finetune("train", again).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "recipe.yaml"]
