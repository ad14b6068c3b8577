"""What is refused before anything is written, in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from data.errors import UserError
from finetune.leave.command import leave
from tests.finetune import tiny_awq as tiny
from tests.finetune.leave.conftest import Home

MATRIX = "base_model.model.model.layers.0.mlp.down_proj.lora_{}.weight"


def copied(home: Home, folder: Path) -> Path:
    shutil.copytree(home.adapter("plain"), folder)
    return folder


@pytest.mark.parametrize("to", ["merged", "gguf-lora"])
def test_an_output_that_exists_is_not_touched(home: Home, tmp_path: Path, to: Any) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UserError, match="exists already; remove it, or give another --out"):
        leave(home.adapter("plain"), to, out)
    assert out.is_dir() and not list(out.iterdir())


def test_a_folder_that_is_no_adapter(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no adapter: it has no adapter_config.json"):
        leave(tmp_path, "merged", tmp_path / "out")
    adapter = copied(home, tmp_path / "adapter")
    (adapter / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=r"is no adapter manifest \(name: missing; it is required\)"):
        leave(adapter, "merged", tmp_path / "out")


def test_a_file_that_the_manifest_does_not_describe(home: Home, tmp_path: Path) -> None:
    adapter = copied(home, tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    weights[MATRIX.format("A")] += 1
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"adapter_model.safetensors is not the file that manifest.json"):
        leave(adapter, "merged", tmp_path / "out")


def test_a_base_that_is_another_one_now(home: Home, tmp_path: Path) -> None:
    adapter = copied(home, tmp_path / "adapter")
    manifest = json.loads((adapter / "manifest.json").read_text())
    manifest["base"]["fingerprint"] = "sha256:" + "0" * 64
    (adapter / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"trained on base tiny-awq \(sha256:000000000000\).* another one"):
        leave(adapter, "merged", tmp_path / "out")


def test_a_base_that_is_not_here(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not known"):
        leave(home.adapter("plain"), "merged", tmp_path / "out", base="elsewhere")


@pytest.mark.parametrize("to", ["merged", "gguf-lora"])
def test_too_little_room(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: Any) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12_000))
    with pytest.raises(UserError, match=r"needs [\d.]+ [kM]B of disk, and .* has 12.0 kB free"):
        leave(home.adapter("plain"), to, tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []


def settings(**changes: Any) -> Callable[[Path], None]:
    def change(adapter: Path) -> None:
        path = adapter / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def tensors(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(adapter: Path) -> None:
        weights = load_file(adapter / "adapter_model.safetensors")
        change(weights)
        save_file(weights, adapter / "adapter_model.safetensors")

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (settings(use_dora=True), "sets use_dora to True, and only plain LoRA"),
        (settings(rank_pattern={"q_proj": 2}), "sets rank_pattern"),
        (settings(alpha_pattern={"q_proj": 2}), "sets alpha_pattern"),
        (settings(bias="all"), "sets bias to 'all'"),
        (settings(init_lora_weights="pissa"), "sets init_lora_weights to 'pissa'"),
        (settings(lora_alpha=float("nan")), "sets lora_alpha to nan"),
        (settings(lora_alpha=0), "sets lora_alpha to 0"),
        (settings(r=0), "sets r to 0"),
        (settings(r=8), r"\(4, 256\) and \(128, 4\) at rank 8"),
        (tensors(lambda all: all.pop(MATRIX.format("B"))), r"down_proj are \(4, 256\) and None"),
        (tensors(lambda all: all.update({MATRIX.format("A"): all[MATRIX.format("A")][:, :64].copy()})),
         r"are \(4, 64\) and \(128, 4\).*base's weight is \(128, 256\)"),
        (tensors(lambda all: all.update({"base_model.model.model.embed_tokens.lora_embedding_A": all.pop(
            MATRIX.format("A"))})), "neither lora_A nor lora_B"),
        (tensors(dict.clear), "holds no matrices at all"),
        (lambda adapter: (adapter / "adapter_model.safetensors").write_bytes(b"x" * 99), "is no safetensors"),
    ],
)  # fmt: skip
def test_an_adapter_that_is_no_plain_lora_of_this_base(
    home: Home, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    adapter = copied(home, tmp_path / "adapter")
    change(adapter)
    tiny.describe_adapter(adapter, home.base)
    with pytest.raises(UserError, match=said):
        leave(adapter, "merged", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
