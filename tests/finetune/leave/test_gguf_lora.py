"""The GGUF file, read back with gguf's own reader, against the adapter and llama.cpp's rules."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from data.errors import UserError
from data.manifest import read_base
from finetune.base.identity import describe
from finetune.base.resolve import write_manifest
from finetune.leave import gguf_lora
from finetune.leave.command import leave
from finetune.leave.source import open_source
from tests.finetune import tiny_awq as tiny
from tests.finetune.leave.conftest import Home

HEADS = {"q_proj": 4, "k_proj": 2}
# The names that llama.cpp's src/llama-arch.cpp gives to the modules that the tiny adapter has.
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "mlp.down_proj": "ffn_down",
}


def read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """Fields and tensors (in numpy's order of axes) of a GGUF file."""
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: np.array(tensor.data) for tensor in reader.tensors}


def paired(rows: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Rows of a projection, such that what transformers rotates together lies side by side."""
    size = len(rows) // heads
    order = []
    for head in range(heads):
        for pair in range(size // 2):
            order += [head * size + pair, head * size + pair + size // 2]
    return rows[order]


@pytest.mark.parametrize("rslora", [False, True])
def test_the_file_holds_the_adapter_as_llama_cpp_wants_it(home: Home, tmp_path: Path, rslora: bool) -> None:
    adapter = home.adapter(f"rslora-{rslora}", use_rslora=rslora)
    leave(adapter, "gguf-lora", tmp_path / "new" / "out.gguf")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.gguf"]
    fields, tensors = read(tmp_path / "new" / "out.gguf")
    assert fields["general.type"] == "adapter"
    assert fields["adapter.type"] == "lora"
    assert fields["general.architecture"] == "llama"
    # src/llama-adapter.h, get_scale: alpha / rank; PEFT's rsLoRA scales by alpha / sqrt(rank).
    assert fields["adapter.lora.alpha"] / 4 == pytest.approx(8 / 4**0.5 if rslora else 8 / 4)
    weights = load_file(adapter / "adapter_model.safetensors")
    assert len(weights) == len(tensors) == 12
    for layer in range(2):
        for module, name in NAMES.items():
            stem = f"base_model.model.model.layers.{layer}.{module}"
            a, b = (weights[f"{stem}.lora_{side}.weight"] for side in "AB")
            kind = module.partition(".")[2]
            rows = paired(b, HEADS[kind]) if kind in HEADS else b
            assert np.array_equal(tensors[f"blk.{layer}.{name}.weight.lora_a"], a)
            assert np.array_equal(tensors[f"blk.{layer}.{name}.weight.lora_b"], rows)
            if kind in HEADS:
                assert not np.array_equal(rows, b)


def test_what_it_needs_on_disk_is_known_before(home: Home, tmp_path: Path) -> None:
    leave(home.adapter("plain"), "gguf-lora", tmp_path / "out.gguf")
    said = gguf_lora.size(open_source(home.adapter("plain")))
    wrote = (tmp_path / "out.gguf").stat().st_size
    assert wrote <= said < wrote + 20_000


def test_an_architecture_that_it_does_not_know(home: Home, tmp_path: Path) -> None:
    other = home.base.with_name("other-awq")
    if not other.exists():
        other.mkdir()
        for path in home.base.iterdir():
            (other / path.name).write_bytes(path.read_bytes())
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps(config | {"architectures": ["Qwen2ForCausalLM"]}))
        write_manifest(other, describe(other, "other-awq", {}, quality={}))
    adapter = home.adapter("plain")
    manifest = json.loads((adapter / "manifest.json").read_text())
    manifest["base"]["fingerprint"] = read_base(other).fingerprint
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for path in adapter.iterdir():
        (foreign / path.name).write_bytes(path.read_bytes())
    (foreign / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"knows the architectures .* is Qwen2ForCausalLM"):
        leave(foreign, "gguf-lora", tmp_path / "out.gguf", base="other-awq")
    assert [path.name for path in tmp_path.iterdir()] == ["foreign"]


def test_a_layer_that_llama_cpp_does_not_know(home: Home) -> None:
    source = open_source(home.adapter("plain"))
    gguf_lora.check(source)
    other = replace(source, modules=(*source.modules, "model.layers.0.mlp.extra_proj"))
    with pytest.raises(UserError, match=r"layers\.0\.mlp\.extra_proj has an update, and llama\.cpp"):
        gguf_lora.check(other)


def test_values_that_are_not_finite_leave_nothing(home: Home, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for path in home.adapter("plain").iterdir():
        (adapter / path.name).write_bytes(path.read_bytes())
    weights = load_file(adapter / "adapter_model.safetensors")
    weights["base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"][0, 0] = np.nan
    save_file(weights, adapter / "adapter_model.safetensors")
    tiny.describe_adapter(adapter, home.base)
    with pytest.raises(UserError, match=r"layers.1.mlp.down_proj hold values that are not finite"):
        leave(adapter, "gguf-lora", tmp_path / "out.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_interrupted_it_leaves_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        assert list(tmp_path.glob(".out.gguf.*"))
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune.leave.gguf_lora.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        leave(home.adapter("plain"), "gguf-lora", tmp_path / "out.gguf")
    assert list(tmp_path.iterdir()) == []
