"""The merged model is plain PEFT's, and ordinary transformers runs it."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from data.errors import UserError
from finetune.leave import merged
from finetune.leave.command import leave
from finetune.leave.source import open_source
from tests.finetune.leave.conftest import Home


def plain_merge(home: Home, adapter: Path) -> dict[str, torch.Tensor]:
    """PEFT's own merge on the dense float32 model, by parameter."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(copy.deepcopy(home.model), adapter).merge_and_unload()
    return dict(model.named_parameters())


@pytest.mark.parametrize("rslora", [False, True])
def test_every_weight_is_plain_pefts_rounded_once(home: Home, tmp_path: Path, rslora: bool) -> None:
    adapter = home.adapter(f"rslora-{rslora}", use_rslora=rslora)
    leave(adapter, "merged", tmp_path / "out")
    ours = load_file(tmp_path / "out" / "model.safetensors")
    theirs = plain_merge(home, adapter)
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].dtype == torch.float16
        # Half a unit in the last place of float16, and what float32 sums in another order.
        assert torch.allclose(ours[name].float(), weight, rtol=2**-11 * 1.01, atol=1e-7), name
    moved = theirs["model.layers.1.mlp.down_proj.weight"] - home.model.model.layers[1].mlp.down_proj.weight
    assert float(moved.detach().abs().max()) > 0.01


def test_transformers_loads_it_and_answers_as_the_adapter_does(home: Home, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = home.adapter("plain")
    leave(adapter, "merged", tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert loaded.dtype == torch.float16
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    ids = torch.randint(5, 49000, (1, 40), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        base = home.model(input_ids=ids).logits
        expected = PeftModel.from_pretrained(copy.deepcopy(home.model), adapter)(input_ids=ids).logits
        ours = loaded.float()(input_ids=ids).logits
    assert float((ours - expected).norm() / expected.norm()) < 1e-3
    assert float((base - expected).norm() / expected.norm()) > 0.1


def test_many_shards_hold_the_same_model(home: Home, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    source = open_source(home.adapter("plain"))
    groups = merged.shards(source.shapes, limit=200_000)
    largest = max(2 * shape[0] * shape[-1] for shape in source.shapes.values())
    assert len(groups) > 3 and [largest] in [
        [2 * source.shapes[name][0] * source.shapes[name][-1] for name in group] for group in groups
    ]
    merged.write(source, groups, tmp_path, lambda text, advance=True: None)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == len(groups)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    for file in files:
        held = load_file(file)
        assert {index["weight_map"][name] for name in held} == {file.name}
        assert len(held) == 1 or sum(2 * tensor.numel() for tensor in held.values()) <= 200_000
    theirs = plain_merge(home, home.adapter("plain"))
    for name, weight in AutoModelForCausalLM.from_pretrained(tmp_path).named_parameters():
        assert torch.allclose(weight.float(), theirs[name], rtol=2**-10, atol=1e-7), name


def test_the_folder_says_what_it_is(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(home.adapter("plain"), "merged", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["torch_dtype"] == "float16" and "dtype" not in config
    card = (tmp_path / "out" / "README.md").read_text()
    console = " ".join(capsys.readouterr().err.split())
    for text in (" ".join(card.split()), console):
        assert text.count("Merging is not requantising") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert (tmp_path / "out" / "model.safetensors").stat().st_mode & 0o044 == 0o044
    said = merged.size(open_source(home.adapter("plain")))
    wrote = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert said == pytest.approx(wrote, rel=0.01)


def test_what_float16_cannot_hold_is_refused(home: Home, tmp_path: Path) -> None:
    adapter = home.adapter("strong", size=300.0)
    with pytest.raises(UserError, match=r"would reach .* over float16's limit of 65504"):
        leave(adapter, "merged", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_it_leaves_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        assert list(tmp_path.glob(".out.*"))
        raise KeyboardInterrupt

    monkeypatch.setattr(merged, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        leave(home.adapter("plain"), "merged", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
